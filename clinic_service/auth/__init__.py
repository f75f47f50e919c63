"""Who is calling, and what they may do.

The spec lists for each operation the rules that admit callers (`x-access`), and `rules.py` has the predicate of each rule.
Decisions are not cached: relations are read in the transaction of the request.
"""
