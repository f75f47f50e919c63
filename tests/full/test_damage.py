"""The spec damaged in many more places than the normal tests have time for."""

from __future__ import annotations

from random import Random

import pytest

from tests.cli.spec.test_damage import survive
from tests.support.damage import DAMAGES

_PLACES = 40


@pytest.mark.parametrize("kind", DAMAGES)
def test_any_damage_is_survived(kind: str) -> None:
    random = Random(f"{kind} at length")
    for _ in range(_PLACES):
        survive(kind, random)
