"""Electronic health record systems: what they send, whom it is about, and the reports that they get.

`matching.py` finds the clinic and the patients of a message, and `subscriptions.py` says what a matched message does to a
patient's subscription; both serve Redox (`redox/`) and Xealth (`xealth/`). `retention.py` removes what has been kept long
enough, and `overview.py` shows operators the connected clinics.
"""
