"""The only module of the package that starts programs.

Programs are argument lists, never a shell; their input is empty; they end with this process's work, not after it.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from collections import deque
from typing import TYPE_CHECKING

from airgap_bundle.errors import BuildError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from pathlib import Path

TAIL_LINES = 15
_BREAK = re.compile(rb"[\r\n]")


class ProgramError(BuildError):
    """A program ended with an error; ``output`` is the last of what it said."""

    def __init__(self, cause: str, hint: str | None, output: tuple[str, ...]) -> None:
        super().__init__(cause, hint)
        self.output = output


def find_program(name: str, hint: str) -> str:
    """Path of the program ``name``. Raises ``BuildError`` with ``hint`` when the machine lacks it."""
    found = shutil.which(name)
    if found is None:
        raise BuildError(f"this machine has no {name}", hint)
    return found


def run(
    argv: Sequence[str],
    *,
    cwd: Path | None = None,
    env: Mapping[str, str] | None = None,
    on_line: Callable[[str], None] | None = None,
) -> str:
    """Run ``argv`` to its end; the value is what it wrote, stdout and stderr together.

    ``env`` is added to this process's environment. ``on_line`` hears every line as it comes; a carriage return ends a
    line too, so that progress bars are heard. Raises ``ProgramError`` when it cannot start or exits with an error.
    """
    lines: list[str] = []
    tail: deque[str] = deque(maxlen=TAIL_LINES)
    try:
        child = subprocess.Popen(
            list(argv),
            cwd=cwd,
            env={**os.environ, **(env or {})},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
        )
    except OSError as error:
        raise ProgramError(f"{argv[0]} does not start: {str(error.strerror).lower()}", None, ()) from error
    with child:
        assert child.stdout is not None
        try:
            for line in _lines(child.stdout.fileno()):
                lines.append(line)
                tail.append(line)
                if on_line is not None:
                    on_line(line)
        except BaseException:
            child.terminate()
            raise
    if child.returncode != 0:
        raise ProgramError(f"{_title(argv)} failed with exit code {child.returncode}", _last_words(tail), tuple(tail))
    return "\n".join(lines)


def _lines(fd: int) -> Iterator[str]:
    """Lines of a file descriptor, split at newlines and carriage returns, as they arrive."""
    rest = b""
    while piece := os.read(fd, 1 << 16):
        *whole, rest = _BREAK.split(rest + piece)
        yield from (line.decode(errors="replace") for line in whole)
    if rest:
        yield rest.decode(errors="replace")


def _title(argv: Sequence[str]) -> str:
    """Program and, for `python -m X`, the module: what a reader recognises."""
    if len(argv) > 2 and argv[1] == "-m":  # noqa: PLR2004 - python -m MODULE
        return argv[2]
    return argv[0].rsplit("/", 1)[-1]


def _last_words(tail: deque[str]) -> str | None:
    said = [line.strip() for line in tail if line.strip()]
    return "it said: " + " | ".join(said[-3:]) if said else None
