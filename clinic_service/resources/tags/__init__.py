"""A clinic's tags, and which patients carry them. The rules that sites have as well are in `labels/`."""
