"""The seam to whoever draws progress: a stage has a label, and reports how far it is.

``appliance.cli.terminal.progress`` fits; so does ``silent``.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Literal, Protocol

Advance = Callable[[int, int], None]
Unit = Literal["bytes", "steps"]


class Stage(Protocol):
    """Begins a stage of work; the context's value is called with (done, total) as the work goes on."""

    def __call__(self, label: str, unit: Unit = "bytes", /) -> AbstractContextManager[Advance]:
        """Begin the stage ``label``, counted in ``unit``."""
        ...


@contextmanager
def silent(label: str, unit: Unit = "bytes", /) -> Iterator[Advance]:  # noqa: ARG001 - the protocol's signature
    """Reports to nobody."""
    yield lambda _done, _total: None


@contextmanager
def printed(label: str, unit: Unit = "bytes", /) -> Iterator[Advance]:
    """A line on stderr at most every two seconds: for modules that run without the command line's bars."""
    next_line = 0.0

    def advance(done: int, total: int) -> None:
        nonlocal next_line
        now = time.monotonic()
        if now < next_line and done != total:
            return
        next_line = now + 2
        amount = f"{done}/{total}" if unit == "steps" else f"{done / 2**20:.1f}/{total / 2**20:.1f} MiB"
        sys.stderr.write(f"{label}: {amount}\n")

    yield advance
