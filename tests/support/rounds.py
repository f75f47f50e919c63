"""How often a test repeats what is random or a race: a few times in each run, and more often when somebody asks for it."""

from __future__ import annotations

import os


def rounds(ordinary: int) -> int:
    """`ordinary` times the variable `CLINIC_TEST_ROUNDS` of the environment, which is 1 by default."""
    return ordinary * int(os.environ.get("CLINIC_TEST_ROUNDS", "1"))
