"""Electronic health record systems: what they send, whom it is about, and the reports that they get.

`matching.py` finds the clinic and the patients of a message, and `subscriptions.py` says what a matched message does to
a patient's subscription; both serve Redox and Xealth. `messages.py` reads and stores messages of Redox, `scheduling.py`
schedules reports, and `retention.py` removes what has been kept long enough.

What begins with `xealth_` serves Xealth: `xealth_preorders.py` and `xealth_forms.py` say what is asked before an order,
`xealth_orders.py` what follows from one, `xealth_programs.py` what is shown of it, and `xealth_viewer.py` shows the report.
"""
