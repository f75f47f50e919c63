"""Electronic health record systems: the messages they send, the patients of these messages, and the reports they get.

`matching.py` finds the clinic and the patients of a message, and `subscriptions.py` applies a matched message to the
patient's subscription. Redox (`redox/`) and Xealth (`xealth/`) use both. `retention.py` deletes old messages and reports,
and `overview.py` shows operators the connected clinics.
"""
