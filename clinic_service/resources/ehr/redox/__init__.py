"""Redox: messages of health record systems that arrive through Redox, and what this server answers them.

`messages.py` reads and stores a message, `match_order.py` finds whom an order is about, and `scheduling.py` schedules
reports. `report_schedule.py` schedules them at the cadence of each clinic.

What follows from a message, from the event to the answer: `relay.py` receives the events, `deliveries.py` says what is done
about each, `orders.py` carries an order out (by `accounts.py` or `matches.py`, with `dispatch.py` for the action that it
asks for), `outcomes.py` stores the outcome, and `reports.py` sends `results.py`, a `flowsheet.py` and a `notes.py` message,
which all begin as `outgoing.py` says. `scheduled.py` is for reports that were scheduled.
"""
