"""`make attack`: run what an attacker tries; the last line is ``N passed, M failed``."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from _pytest.terminal import TerminalReporter


class Score:
    """Counts what pytest reports; an error in a fixture is a failure too."""

    passed = failed = 0

    def pytest_terminal_summary(self, terminalreporter: TerminalReporter) -> None:
        """Called once at the end of the run."""
        count = terminalreporter.stats
        self.passed = len(count.get("passed", []))
        self.failed = len(count.get("failed", [])) + len(count.get("error", []))


def main() -> int:
    """Run every attack; pytest's exit code, so that no attack at all is a failure as well."""
    score = Score()
    code = pytest.main([str(Path(__file__).parent), "-v", "--no-header"], plugins=[score])
    sys.stdout.write(f"{score.passed} passed, {score.failed} failed\n")
    return int(code)


if __name__ == "__main__":
    sys.exit(main())
