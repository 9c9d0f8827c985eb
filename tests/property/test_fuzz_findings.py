"""What fuzzing begins with and what it has found: every input is tried with the tests, and stays mended."""

from __future__ import annotations

import pytest

from tests.fuzz.seeds import found
from tests.fuzz.targets import TARGETS


@pytest.mark.parametrize("name", TARGETS)
def test_no_seed_and_no_finding_is_a_defect(name: str) -> None:
    target = TARGETS[name]
    inputs = [*target.seeds(), *found(name)]
    assert inputs
    for data in inputs:
        target.check(data)
