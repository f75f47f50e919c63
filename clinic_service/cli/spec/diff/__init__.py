"""`spec diff`: every change between two states of the spec, and whether clients may have to change for it.

`comparison.py` walks through the operations of two documents, `schemas.py` through two schemas; what a change means is in
the tables of `rules.py` and `keywords.py`. `documents.py` reads the two states, `announcements.py` tells which breaking
changes are announced, and `report.py` prints. Ids follow the names of oasdiff.
"""
