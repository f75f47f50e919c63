"""What a request costs, side by side with three other ways to write the same three operations."""
