"""The limit on the requests of each caller (`CLINIC_RATE_LIMIT`), and the headers that tell callers about it.

The algorithm is GCRA, from the library throttled-py: a caller may send all requests of the limit at once, and gets back
what was used at an even rate. It keeps one number for each caller, in the memory of the process. The library `limits` was
not taken because its storage in memory has no bound, and searches all callers a hundred times a second.

A caller is a person, a service or a partner. Who proves nothing is counted by address.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from clinic_service.api.bodies import ADMITTED
from clinic_service.api.caller_keys import client_address, key_of
from clinic_service.api.exchange import Exchange
from clinic_service.auth.caller import Caller
from clinic_service.config import Config
from clinic_service.errors import TooManyRequests

if TYPE_CHECKING:
    from throttled import Throttled

# About 5 MB for callers, and as much for addresses. Beyond it, those who have been silent longest are forgotten.
MAX_COUNTED = 10_000
# A caller beyond the limit is recorded once in this time, so that nobody fills the disk with records of refusals.
_RECORDS = "1/minute"


class RateLimitReached(TooManyRequests):
    """The caller has sent more requests than the limit allows. `is_recorded`: the audit trail gets a record of it."""

    message = "The caller has sent too many requests."

    def __init__(self, rule: str, retry_after: int, *, is_recorded: bool) -> None:
        super().__init__()
        self.rule, self.retry_after, self.is_recorded = rule, retry_after, is_recorded


class RateLimit:
    """Counts the requests of each caller, and refuses those beyond the limit. Safe to share between threads."""

    def __init__(self, quota: str, *, proxies: int = 0) -> None:
        """`quota`: such as `600/minute` or `600/minute burst 50`. `proxies`: see `client_address`."""
        self._proxies = proxies
        self._callers = _Counts("caller", quota)
        self._addresses = _Counts("address", quota)

    @classmethod
    def from_config(cls, config: Config) -> RateLimit | None:
        """The limit of `config`; None when it has none."""
        return cls(config.rate_limit, proxies=config.proxies) if config.rate_limit else None

    def count(self, exchange: Exchange, caller: Caller | None) -> None:
        """Count one request. `caller`: None when nobody proved who sends it. Raises RateLimitReached (429)."""
        if caller is not None:
            self._callers.count(exchange, key_of(caller))
        else:
            self._addresses.count(exchange, client_address(exchange.environ, self._proxies))


class _Counts:
    """The requests of callers of one kind; `rule` names the kind in headers and metrics."""

    def __init__(self, rule: str, quota: str) -> None:
        self._rule = rule
        self._limit = _limit(quota)
        self._records = _limit(_RECORDS)
        rate = self._limit.limiter.quota
        self._policy = ("RateLimit-Policy", f'"{rule}";q={rate.get_limit()};w={rate.get_period_sec()}')

    def count(self, exchange: Exchange, key: str) -> None:
        # What was counted before its body was read is not counted again.
        result = self._limit.limit(key, cost=0 if ADMITTED in exchange.environ else 1)
        state = result.state
        left = f'"{self._rule}";r={state.remaining};t={_whole_seconds(state.reset_after)}'
        exchange.headers = (self._policy, ("RateLimit", left))
        if result.limited:
            is_recorded = not self._records.limit(key).limited
            raise RateLimitReached(self._rule, max(1, _whole_seconds(state.retry_after)), is_recorded=is_recorded)


def _whole_seconds(seconds: float) -> int:
    """The seconds rounded up, but not because of the inaccuracy of times that are computed as floats."""
    return math.ceil(round(seconds, 3))


def _limit(quota: str) -> Throttled:
    # It takes a while to import, and most servers have no limit.
    from throttled import MemoryStore, Throttled

    return Throttled(using="gcra", quota=quota, store=MemoryStore(options={"MAX_SIZE": MAX_COUNTED}))
