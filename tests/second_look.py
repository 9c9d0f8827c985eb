"""A second look at tests of real services: what failed once on a busy machine is run again, alone, and named (ADR 138).

Pytest loads this file as a plugin (``-p tests.second_look --failures FILE``), which writes down the failed; the rest
judges which of them may be looked at again.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Sequence

    import pytest

MOST: Final = 3
"""More failures than these are no accident of the hour."""
SUBJECTS: Final = ("tests/integration/", "tests/e2e/page/")
"""Where real services and browsers are waited for. Attacks, pure tests and numbered journeys get one chance."""


def may_look_again(failed: Sequence[str]) -> bool:
    """Whether ``failed`` (node ids) are few, and all of services' tests."""
    return 0 < len(failed) <= MOST and all(test.startswith(SUBJECTS) for test in failed)


def read(file: Path) -> list[str]:
    """Node ids that a run wrote down; none when it did not come to its end."""
    return [str(test) for test in json.loads(file.read_text())] if file.exists() else []


def pytest_addoption(parser: pytest.Parser) -> None:
    """Where the failed are written down."""
    parser.addoption("--failures", type=Path, default=None, help="write the node ids of failed tests here (JSON)")


def pytest_configure(config: pytest.Config) -> None:
    """Write down in the process that counts; workers report to it."""
    file = config.getoption("--failures")
    if file is not None and not hasattr(config, "workerinput"):
        config.pluginmanager.register(_Failures(file), "failures")


class _Failures:
    """Collects failed reports, of setup and teardown too."""

    def __init__(self, file: Path) -> None:
        self._file = file
        self._failed: dict[str, None] = {}

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        if report.failed:
            self._failed[report.nodeid] = None

    def pytest_sessionfinish(self) -> None:
        self._file.write_text(json.dumps(list(self._failed)))
