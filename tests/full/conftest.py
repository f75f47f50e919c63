"""What several of these tests share."""

from __future__ import annotations

import os
import time
from random import Random

import pytest


@pytest.fixture
def random(capsys: pytest.CaptureFixture[str]) -> Random:
    seed = int(os.environ.get("CLINIC_TEST_SEED", time.time_ns()))
    with capsys.disabled():
        print(f"\nCLINIC_TEST_SEED={seed}")  # noqa: T201 - so that a failure can be repeated
    return Random(seed)
