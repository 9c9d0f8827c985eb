"""What every command shares: results on stdout, progress and messages on stderr, passphrases from neither argv nor env.

`NO_COLOR` is honoured by rich. A progress bar is drawn only where stderr is a terminal; elsewhere a line marks the
beginning and the end of the work, so that logs stay readable. What draws is loaded when it draws: services, which
import this for their site's paths, would each keep ten megabytes of it.
"""

from __future__ import annotations

import enum
import getpass
import json
import os
import sys
import time
import warnings
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from appliance.errors import UsageError
from appliance.site.paths import SitePaths

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from rich.console import Console
    from rich.progress import ProgressColumn

PASSPHRASE_MAX_BYTES = 4096


class OutputFormat(enum.StrEnum):
    """How a command prints its result."""

    table = "table"
    json = "json"


OutputOption = Annotated[OutputFormat, typer.Option("--output", help="Print the result as a table or as JSON.")]
PassphraseFdOption = Annotated[
    int | None,
    typer.Option("--passphrase-fd", metavar="FD", help="Read the passphrase from this file descriptor (no prompt)."),
]


def emit(data: object, output: OutputFormat, render: Callable[[Console], None]) -> None:
    """Write a result to stdout: ``data`` as JSON, or whatever ``render`` draws."""
    if output is OutputFormat.json:
        sys.stdout.write(json.dumps(data, indent=2, ensure_ascii=False, default=str) + "\n")
        return
    from rich.console import Console  # noqa: PLC0415 - loaded when it draws

    render(Console(highlight=False))


def say(text: str) -> None:
    """A message for the person, on stderr."""
    _stderr().print(text, markup=False, soft_wrap=True)


@cache
def _stderr() -> Console:
    from rich.console import Console  # noqa: PLC0415 - loaded when it draws

    return Console(stderr=True, highlight=False)


def _columns(unit: Literal["bytes", "steps"]) -> list[ProgressColumn]:
    from rich.progress import (  # noqa: PLC0415 - loaded when it draws
        BarColumn,
        DownloadColumn,
        MofNCompleteColumn,
        SpinnerColumn,
        TextColumn,
        TimeElapsedColumn,
        TimeRemainingColumn,
        TransferSpeedColumn,
    )

    ends: list[ProgressColumn] = (
        [DownloadColumn(binary_units=True), TransferSpeedColumn()] if unit == "bytes" else [MofNCompleteColumn()]
    )
    named = [SpinnerColumn(), TextColumn("{task.description}"), BarColumn()]
    return [*named, *ends, TimeRemainingColumn(), TimeElapsedColumn()]


@contextmanager
def progress(label: str, unit: Literal["bytes", "steps"] = "bytes") -> Iterator[Callable[[int, int], None]]:
    """Draw progress on stderr; the value is ``report(done, total)``, callable from any thread."""
    if not _stderr().is_terminal:
        yield _plain_progress(label, unit)
        return
    from rich.progress import Progress  # noqa: PLC0415 - loaded when it draws

    with Progress(*_columns(unit), console=_stderr(), transient=False) as bar:
        task = bar.add_task(label, total=None)

        def report(done: int, total: int) -> None:
            bar.update(task, completed=done, total=total or None)

        yield report


def _plain_progress(label: str, unit: Literal["bytes", "steps"]) -> Callable[[int, int], None]:
    """Lines instead of a bar: the beginning, every tenth of the way at most every five seconds, and the end."""
    last = {"tenth": -1, "time": 0.0}

    def report(done: int, total: int) -> None:
        tenth = 10 * done // total if total else 0
        finished = bool(total) and done >= total
        if tenth == last["tenth"] or (not finished and time.monotonic() - last["time"] < 5):  # noqa: PLR2004 - seconds
            return
        last.update(tenth=tenth, time=time.monotonic())
        amount = f"{done / 2**20:.1f}/{total / 2**20:.1f} MiB" if unit == "bytes" else f"{done}/{total}"
        say(f"  {label}: {amount}")

    return report


def read_passphrase(prompt: str, fd: int | None) -> bytes:
    """The passphrase typed at ``prompt``, or the first line read from ``fd``.

    Raises ``UsageError`` when there is neither a terminal nor a descriptor, when it is empty or too long, and where
    it would be shown while it is typed.
    """
    if fd is not None:
        phrase = _first_line(fd)
    elif sys.stdin.isatty():
        phrase = _typed(prompt)
    else:
        raise UsageError("a passphrase is needed and there is no terminal", "give it with --passphrase-fd FD")
    if not phrase:
        raise UsageError("the passphrase is empty", "type one, or check what the file descriptor gives")
    return phrase


def _typed(prompt: str) -> bytes:
    """What is typed, unseen. Where echo cannot be turned off, ``getpass`` would warn and read on; here it stops."""
    with warnings.catch_warnings():
        warnings.simplefilter("error", getpass.GetPassWarning)
        try:
            return getpass.getpass(f"{prompt}: ", stream=sys.stderr).encode()
        except getpass.GetPassWarning as error:
            raise UsageError("this terminal would show the passphrase", "give it with --passphrase-fd FD") from error
        except EOFError as error:
            raise UsageError("no passphrase was typed", "type it, or give it with --passphrase-fd FD") from error


def _first_line(fd: int) -> bytes:
    if os.isatty(fd):
        raise UsageError(
            f"file descriptor {fd} is a terminal, which would show the passphrase", "leave the option away to be asked"
        )
    data = b""
    try:
        while b"\n" not in data and (piece := os.read(fd, 512)):
            data += piece
            if len(data) > PASSPHRASE_MAX_BYTES:
                raise UsageError(f"the passphrase is longer than {PASSPHRASE_MAX_BYTES} bytes")
    except OSError as error:
        raise UsageError(f"file descriptor {fd} cannot be read: {error.strerror}", "open it, as in 3<file") from error
    return data.split(b"\n", 1)[0].rstrip(b"\r")


def site_paths(context: typer.Context) -> SitePaths:
    """Paths of the site that the global option ``--site`` (or its default) selects."""
    root = context.find_root().obj
    assert isinstance(root, Path)
    return SitePaths(root.absolute())
