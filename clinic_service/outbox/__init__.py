"""The outbox: events are stored as rows in the transaction of the change, and delivered after the commit.

`events.py` defines the events, `outbox.py` writes an event as a row of the running transaction, `deliveries.py` defines how
each kind of event is delivered, and `relay.py` delivers it. `mail_limits.py` limits the requests that send mail. Most
events are of two kinds:

* **Mails** are composed from `templates/` and sent by SMTP. Without a mail server they stay undelivered. They do not count
  as failures, and no event waits for them. When a mail server is configured within CLINIC_KEEP_UNSENT_MAIL_DAYS, the relay
  sends them; after this time they are removed. After five days of failed attempts the relay stops trying to send a mail,
  and marks it as delivered.
* **Notices** tell other programs what changed. Nobody is called for a notice: it is stored as delivered, and
  `clinic-service outbox list --all` shows it.

Other events compensate for changes at the directory of accounts.

Each event is delivered at least once, so a receiver may get it twice, with the same id of the row. Events of a clinic
are delivered in order: an event waits for the earlier ones of its clinic. After five failed attempts later events no
longer wait for it, so that one bad address does not block a clinic. A failed delivery is tried again after 10 seconds,
then after twice as long each time, at most an hour. Only the kind of a failure is stored, never an address.
"""
