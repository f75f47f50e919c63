"""Who is calling, and what they may do.

Which callers an operation admits is written beside it in the spec (`x-access`); `rules.py` holds the few predicates
behind those names. Nothing is decided from a cache: relations are read in the request's own transaction.
"""
