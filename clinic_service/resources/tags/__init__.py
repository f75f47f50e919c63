"""A clinic's tags, and which patients have them. Rules that tags share with sites are in `labels/`."""
