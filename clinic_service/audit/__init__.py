"""The audit trail: who did what to whose data, when, and with what outcome. It contains ids, and never values.

A write is a row of its own transaction (`repository.py`), so that there is no effect without its record. A read of personal
data, a refusal and a failure are lines of an append-only file (`log.py`), so that a read never writes to the database.

Both are chained by hash, so that a removal, a change or another order shows. The lines of a file are chained when they are
written. The rows are chained afterwards, by a thread that seals them in batches (`sealing.py`): a chain that is extended
inside the transactions would make all writers wait for each other, because each needs the hash of the one before. There is
one chain for the whole database and not one for each clinic, so that it also shows when all rows of a clinic are gone.
"""
