"""Everything that others must learn: rows written with the change itself, and delivered after it is committed.

`events.py` says what can happen, `outbox.py` writes an event as a row of the running transaction, `deliveries.py` says
what follows from it and `relay.py` does that. `limits.py` counts requests for mail. There are two kinds of events:

* **Mails** are composed from `templates/` and sent by SMTP. Without a mail server they stay undelivered, neither
  counted as failures nor holding anything up; the day one is configured they go out, however old they are.
* **Notices** tell other programs what changed. Nobody is called; the relay marks them delivered when their turn has
  come, and they stay readable with `clinic-service outbox list --all`.

Rules: at least once, so whoever receives something must bear receiving it twice (the row's id tells). In order within
a clinic: an event waits for the earlier ones of its clinic, but for no more than five attempts, so that one dead
address does not silence a clinic. A failure is tried again after 10 seconds, then after twice as long each time, an
hour at most. What is kept about a failure is its kind, never an address.
"""
