"""What the tests share: databases, the client, the cast, and rows to start from."""
