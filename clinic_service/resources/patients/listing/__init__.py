"""The operation ListPatients.

`query.py` reads the parameters into filters (`filters.py`) and a sort order (`sorting.py`), both of which refer to rows and
columns (`columns.py`). `planner.py` chooses how to find a page.
"""
