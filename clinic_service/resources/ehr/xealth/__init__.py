"""Xealth: orders of health record systems that arrive through Xealth, and the reports that clinicians open there.

`preorders.py` and `forms.py` (texts in `forms.yaml`) make the form that is filled in before an order, `orders.py` applies
the events of an order, `programs.py` shows the state of the patient's program, and `viewer.py` shows the report.
"""
