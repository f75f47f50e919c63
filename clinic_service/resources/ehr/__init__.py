"""Electronic health record systems: what they send, whom it is about, and the reports that they get.

`matching.py` finds the clinic and the patients of a message, and `subscriptions.py` says what a matched message does to
a patient's subscription; both serve Redox and Xealth. `messages.py` reads and stores messages of Redox, `scheduling.py`
schedules reports, and `retention.py` removes what has been kept long enough.

What follows from a message of Redox is in the files `redox_…`, from the event to the answer: `relay` receives the events,
`deliveries` says what is done about each, `orders` carries an order out (by `accounts` or `matches`, with `dispatch` for
what it says), `outcomes` remembers what came of it, and `reports` sends `results`, a `flowsheet` and a `notes` message.
`scheduled` is for reports that were scheduled. `report_schedule.py` schedules them at the cadence of each clinic.

What begins with `xealth_` serves Xealth: `xealth_preorders.py` and `xealth_forms.py` say what is asked before an order,
`xealth_orders.py` what follows from one, `xealth_programs.py` what is shown of it, and `xealth_viewer.py` shows the report.
"""
