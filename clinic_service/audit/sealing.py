"""Sealer: adds new rows to the chain of rows, and removes rows and files that are too old."""

from __future__ import annotations

import logging
import threading
from datetime import timedelta

from clinic_service import clock
from clinic_service.audit.files import anchor_text, day_of, end_of, is_finished, list_files, removal_text
from clinic_service.audit.log import AuditLog
from clinic_service.audit.record import linked
from clinic_service.db.engine import Database
from clinic_service.unit_of_work import UnitOfWork, run, run_in_batches

_log = logging.getLogger(__name__)
# Small, because on SQLite all other writers wait while a batch is sealed.
_BATCH = 500
_MINUTE, _HOUR = 60.0, 3600.0
_WAIT_SECONDS = 10


class Sealer:
    """Works in the background. Several may run on one database: each batch is done under the lock of the chain.

    A row becomes visible when its transaction is committed, which can be after rows with later times were sealed. So the
    order of the chain is the order of sealing, and not that of the times.
    """

    name = "audit-sealer"

    def __init__(self, database: Database, log: AuditLog, *, keep_days: int, poll_seconds: float = 2.0) -> None:
        """`poll_seconds`: the pause of `run` between batches that are not full."""
        self._database, self._log = database, log
        self._keep = timedelta(days=keep_days)
        self._poll_seconds = poll_seconds

    def run(self, stop: threading.Event) -> None:
        """Seal until `stop` is set, and look once an hour for what is too old."""
        next_anchor = next_purge = 0.0
        while not stop.is_set():
            try:
                sealed = self.seal()
                if sealed and clock.monotonic() >= next_anchor:
                    next_anchor = clock.monotonic() + _MINUTE
                    self.anchor()
                if clock.monotonic() >= next_purge:
                    next_purge = clock.monotonic() + _HOUR
                    self.purge()
            except Exception as error:
                _log.warning("audit_not_sealed", extra={"failure": type(error).__name__})
                sealed = 0
            # After a full batch there may be more to seal; otherwise rows gather during a pause.
            if sealed < _BATCH:
                stop.wait(self._poll_seconds)

    def finish(self) -> None:
        """Seal what has been written until now, because nobody may do so until the next start."""
        try:
            while self.seal() == _BATCH:
                pass
        except Exception as error:
            _log.warning("audit_not_sealed", extra={"failure": type(error).__name__})

    def seal(self) -> int:
        """Seal at most a batch of rows. Returns how many."""
        if not run(self._database, lambda uow: uow.audit.list_unsealed(1), writes=False):
            return 0
        return run(self._database, _seal_batch, writes=True)

    def anchor(self) -> None:
        """Write a line with the end of the chain, so that somebody who rewrites the rows must rewrite files too."""
        chain = run(self._database, lambda uow: uow.audit.chain(), writes=False)
        self._log.write(anchor_text(chain.sequence, chain.hash), _WAIT_SECONDS)

    def purge(self) -> tuple[int, int]:
        """Remove all rows and files that are older than CLINIC_AUDIT_DAYS. Returns their numbers."""
        rows = run_in_batches(self._database, self._remove_batch)
        return rows, self._remove_files()

    def _remove_batch(self, uow: UnitOfWork) -> int:
        chain = uow.audit.lock_chain()
        old = []
        for entry in uow.audit.list_sealed(chain.removed_sequence, chain.sequence, _BATCH):
            if entry.record.time >= uow.now - self._keep:
                # Later rows are kept, also older ones among them, so that the rest of the chain stays whole.
                break
            old.append(entry)
        if old:
            uow.audit.remove(old)
            last = old[-1]
            uow.audit.set_chain(chain._replace(removed_sequence=last.sequence or 0, removed_hash=last.hash or ""))
        return len(old)

    def _remove_files(self) -> int:
        oldest = (clock.now() - self._keep).date()
        # A file of the day before the oldest has lines that are older by up to a day.
        old = [file for file in list_files(self._log.folder) if day_of(file) < oldest and is_finished(file)]
        for file in old:
            failure = self._log.write(removal_text(file.name, end_of(file)), _WAIT_SECONDS)
            if failure:
                raise failure
            file.unlink()
        return len(old)


def _seal_batch(uow: UnitOfWork) -> int:
    chain = uow.audit.lock_chain()
    sealed, sequence, last = [], chain.sequence, chain.hash
    for entry in uow.audit.list_unsealed(_BATCH):
        sequence += 1
        last = linked(last, entry.record.text())
        sealed.append(entry._replace(sequence=sequence, hash=last))
    if sealed:
        uow.audit.seal(sealed)
        uow.audit.set_chain(chain._replace(sequence=sequence, hash=last))
    return len(sealed)
