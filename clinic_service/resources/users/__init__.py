"""The operations that concern one user in every clinic."""
