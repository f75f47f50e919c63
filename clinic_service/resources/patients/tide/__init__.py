"""The TIDE report.

`categories.py` defines the categories, `report.py` finds the patients of each, and `response.py` makes the response.
"""
