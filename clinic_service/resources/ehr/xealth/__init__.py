"""Xealth: orders of health record systems that arrive through Xealth, and the reports that clinicians open there.

`preorders.py` and `forms.py` (texts in `forms.yaml`) say what is asked before an order, `orders.py` what follows from one,
`programs.py` what is shown of it, and `viewer.py` shows the report.
"""
