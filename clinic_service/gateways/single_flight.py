"""Single flight: several threads need the same thing at once, and one of them gets it for all."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import Future
from typing import Generic, TypeVar

from clinic_service import deadline
from clinic_service.deadline import DeadlineExceeded

T = TypeVar("T")


class SingleFlight(Generic[T]):
    """Does one thing at a time, for all who ask meanwhile. Its lock is never held while it is done."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._flight: Future[T] | None = None

    def do(self, work: Callable[[], T]) -> T:
        """The outcome of `work`, or of the work that another thread is doing already. Raises what the work raises.

        Nobody waits beyond their own deadline: then DeadlineExceeded is raised. When the time of the thread that does the
        work is over, one of those who wait begins again.
        """
        while True:
            with self._lock:
                flight, leads = self._flight, self._flight is None
                if flight is None:
                    flight = self._flight = Future()
            if leads:
                return self._lead(flight, work)
            seconds = deadline.remaining()
            try:
                return flight.result(seconds)
            except TimeoutError:
                raise DeadlineExceeded from None
            except DeadlineExceeded:
                continue

    def _lead(self, flight: Future[T], work: Callable[[], T]) -> T:
        try:
            outcome = work()
        except BaseException as error:
            self._land()
            flight.set_exception(error)
            raise
        self._land()
        flight.set_result(outcome)
        return outcome

    def _land(self) -> None:
        with self._lock:
            self._flight = None
