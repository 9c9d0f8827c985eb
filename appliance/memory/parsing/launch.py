"""A document into text: one confined process each, bounded in time and output, and not believed. Starts subprocesses.

What can go wrong with a document goes wrong with its process, and is told as ``DocumentRefusedError``; others go on.
``ParserError`` is the site's own trouble. Calls may come from several threads.
"""

from __future__ import annotations

import os
import select
import signal
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from appliance.memory.errors import DocumentRefusedError, ParserError
from appliance.memory.parsing import child
from appliance.memory.parsing.blocks import MAX_OUTPUT_BYTES
from appliance.memory.parsing.media import HEAD_BYTES, MediaType, media_type
from appliance.memory.parsing.outcome import judged

if TYPE_CHECKING:
    from collections.abc import Callable

    from appliance.memory.parsing.blocks import Parsed

MAX_FILE_BYTES = 256 << 20
_CODE = Path(__file__).parents[3]
_START = (
    "import sys; sys.path.insert(0, sys.argv[1]); from appliance.memory.parsing.child import main; "
    "main(sys.argv[2], int(sys.argv[3]))"
)


@dataclass(frozen=True)
class Bounds:
    """What a document may take: bytes of its file, of its text, of memory, and seconds on the clock."""

    file_bytes: int = MAX_FILE_BYTES
    output_bytes: int = MAX_OUTPUT_BYTES
    seconds: float = 120.0
    memory_bytes: int = child.MEMORY_BYTES


USUAL = Bounds()


def kind_of(name: str, descriptor: int, bounds: Bounds = USUAL) -> MediaType:
    """The kind of the open file, which is called ``name``. Raises ``DocumentRefusedError``; reads its head only."""
    size = os.fstat(descriptor).st_size
    if size > bounds.file_bytes:
        raise DocumentRefusedError("too_large", f"the file is larger than {bounds.file_bytes >> 20} MiB")
    return media_type(name, os.pread(descriptor, HEAD_BYTES, 0))


def parse(descriptor: int, kind: MediaType, bounds: Bounds = USUAL, start: Callable[[], None] | None = None) -> Parsed:
    """The blocks of the open file, read from its beginning. ``start`` is called when the process runs (for tests).

    Raises ``DocumentRefusedError``, or ``ParserError`` where no document could be read here at all.
    """
    os.lseek(descriptor, 0, os.SEEK_SET)
    try:
        process = subprocess.Popen(
            [sys.executable, "-I", "-B", "-c", _START, str(_CODE), kind, str(bounds.memory_bytes)],
            stdin=descriptor,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env={"LC_ALL": "C.UTF-8"},
            cwd="/",
            start_new_session=True,
        )
    except OSError as error:
        raise ParserError(f"the parser cannot be started: {error.strerror}", "run `sovereign status`") from error
    with process:
        try:
            if start is not None:
                start()
            told = _told(process, bounds)
        finally:
            process.kill()  # it has said all it may, or too much, or nothing in time
            status = process.wait()
    if told is None:
        raise DocumentRefusedError("too_long", f"reading it took longer than {bounds.seconds:.0f} s")
    return _judged(told, status, bounds)


def _told(process: subprocess.Popen[bytes], bounds: Bounds) -> bytes | None:
    """All that the process says, at most one byte more than it may; None when its time is over."""
    assert process.stdout is not None
    pipe = process.stdout.fileno()
    poll = select.poll()
    poll.register(pipe, select.POLLIN | select.POLLHUP)
    deadline = time.monotonic() + bounds.seconds
    said: list[bytes] = []
    size = 0
    while size <= bounds.output_bytes:
        left = deadline - time.monotonic()
        if left <= 0 or not poll.poll(left * 1000):
            return None
        piece = os.read(pipe, 1 << 18)
        if not piece:
            return _after_the_last_word(process, b"".join(said), deadline)
        said.append(piece)
        size += len(piece)
    return b"".join(said)


def _after_the_last_word(process: subprocess.Popen[bytes], said: bytes, deadline: float) -> bytes | None:
    """What was said, once the process is gone by itself: how it ended counts. None when it outlives its time."""
    try:
        process.wait(timeout=max(deadline - time.monotonic(), 0.1))
    except subprocess.TimeoutExpired:
        return None
    return said


def _judged(told: bytes, status: int, bounds: Bounds) -> Parsed:
    if len(told) > bounds.output_bytes:
        raise DocumentRefusedError("too_large", f"its text is larger than {bounds.output_bytes >> 20} MiB")
    if status == child.UNCONFINED:
        raise ParserError(
            "the parser cannot be confined on this host, so no document is read",
            "`sovereign preflight` names what the kernel lacks",
        )
    if status == -signal.SIGXCPU:
        raise DocumentRefusedError("too_long", f"reading it took more than {child.PROCESSOR_S} s of processor time")
    if status != 0:
        raise DocumentRefusedError("crashed", "the parser broke off while it read the document")
    return judged(told)
