"""Single flight: when several threads need the same result at once, one of them does the work for all."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import Future
from typing import Generic, TypeVar

from clinic_service import deadline
from clinic_service.deadline import DeadlineExceeded

T = TypeVar("T")


class SingleFlight(Generic[T]):
    """Does one piece of work at a time, and gives the result to all threads that asked meanwhile.

    Its lock is not held during the work.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._flight: Future[T] | None = None

    def do(self, work: Callable[[], T]) -> T:
        """The result of `work`, or of the work that another thread is already doing. Raises what the work raises.

        A thread waits until its own deadline, and then raises DeadlineExceeded. When the deadline of the thread that
        does the work is over, one of the waiting threads starts the work again.
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
