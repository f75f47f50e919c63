"""The TIDE report, which shows the patients of a clinic who need attention.

`categories.py` defines the categories, `report.py` finds the patients of each, and `response.py` makes the response.
"""
