"""Redox: messages of health record systems that arrive through Redox, and the messages that this server sends back.

`messages.py` reads and stores a message, `match_order.py` finds the clinic and the patients of an order, and
`scheduling.py` schedules reports. `cadence.py` schedules them at the cadence of each clinic.

The processing of a stored message, from the event to the answer: `relay.py` receives the events, and `deliveries.py`
handles each of them. `orders.py` carries out an order: `order_content.py` finds the requested action, which
`account_orders.py` or `subscription_orders.py` performs, and `outcomes.py` stores the outcome. `sending.py` sends
messages made by `results.py`, `flowsheet.py` and `notes.py`, in an envelope of `outgoing.py`. `scheduled_reports.py`
handles scheduled reports.
"""
