"""The benchmark of confinement measures what the service is today."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.bench.confinement import KINDS, measure

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.network


@pytest.mark.parametrize("kind", KINDS)
def test_either_engine_of_the_benchmark_starts_and_writes(kind: str, model_file: Path) -> None:
    assert model_file.is_file()
    reading = measure(kind, tokens=4)
    assert reading.tokens_per_s > 0
    assert reading.token_cpu_ms > 0
