"""The process that reads one document: a descriptor in, one JSON object out (``outcome``), and nothing else to reach.

Order: first to go where memory runs out, and the limits that the kernel keeps (memory, processor time, no file grows,
no core) → the libraries for this kind of document and the encodings of texts, since nothing can be loaded later →
another user, where the parent is root → no privileges, no files, no calls but those that computing needs → and only
then the first byte of the document is read.
"""

from __future__ import annotations

import ctypes
import dataclasses
import importlib
import json
import os
import resource
import signal
import sys
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from appliance.engine.confinement.landlock import View
from appliance.engine.confinement.layers import confine, seal
from appliance.engine.errors import ConfinementError
from appliance.memory.errors import DocumentRefusedError
from appliance.memory.parsing import media

if TYPE_CHECKING:
    from collections.abc import Callable

    from appliance.memory.parsing.blocks import Parsed

SOURCE, SINK = 0, 1
UNCONFINED, FAILED = 70, 71
"""Exit statuses: the process could not be confined; reading ended in a way that no parser foresaw."""
MEMORY_BYTES = 1536 << 20
PROCESSOR_S = 60
_NOBODY = 65534
_MOST = "1000"
_PARENT_DEATH = 1  # PR_SET_PDEATHSIG (prctl(2))
_ENCODINGS = (
    *("ascii", "latin_1", "utf_8", "utf_8_sig", "utf_16", "utf_16_le", "utf_16_be", "utf_7", "mac_roman", "cp437"),
    *("cp850", *(f"cp125{n}" for n in range(9)), *(f"iso8859_{n}" for n in (1, 2, 3, 4, 5, 6, 7, 9, 10, 13, 15, 16))),
    *("koi8_r", "koi8_u", "big5", "gb18030", "gbk", "gb2312", "euc_jp", "shift_jis", "iso2022_jp", "euc_kr", "idna"),
    *("quopri_codec", "base64_codec", "unicode_escape", "raw_unicode_escape"),
)
"""What text may be in; a document in another encoding is refused as such."""
_PARSERS: dict[str, tuple[str, str]] = {
    media.PDF: ("pdf", "pdf"),
    media.DOCX: ("office", "docx"),
    media.ODT: ("office", "odt"),
    "text/html": ("markup", "html"),
    "text/markdown": ("plain", "markdown"),
    "text/plain": ("plain", "text"),
    "text/csv": ("plain", "table"),
    "message/rfc822": ("mail", "message"),
}


def main(kind: str, memory_bytes: int = MEMORY_BYTES) -> None:
    """Read the document on standard input as ``kind``, write the outcome to standard output, and end the process."""
    _first_to_go()
    _limit(memory_bytes)
    parser = _loaded(kind)
    _step_down()
    try:
        seal(confine(View(readable=(), own=None), ()), (), stage="parsing")
    except (ConfinementError, OSError):
        os._exit(UNCONFINED)
    os._exit(_work(parser))


def _work(parser: Callable[[bytes], Parsed]) -> int:
    try:
        told = _told(parser)
    except MemoryError:
        told = _refusal("memory", "reading it takes more memory than a document may have")
    except RecursionError:
        told = _refusal("too_deep", "the document is nested too deeply")
    except Exception:  # noqa: BLE001 - whatever a hostile file provokes ends here; the parent tells it as a crash
        return FAILED
    sent = 0
    while sent < len(told):
        sent += os.write(SINK, told[sent:])
    return 0


def _told(parser: Callable[[bytes], Parsed]) -> bytes:
    pieces: list[bytes] = []
    while piece := os.read(SOURCE, 1 << 20):
        pieces.append(piece)
    try:
        parsed = parser(b"".join(pieces))
    except DocumentRefusedError as error:
        return _refusal(error.reason, error.cause)
    fields = dataclasses.asdict(dataclasses.replace(parsed, blocks=()))
    blocks = [{"kind": b.kind, "text": b.text, "level": b.level, "page": b.page} for b in parsed.blocks if b.text]
    return json.dumps({"parsed": {**fields, "blocks": blocks}}).encode("ascii")


def _refusal(reason: str, cause: str) -> bytes:
    return json.dumps({"refused": {"reason": reason, "cause": cause[:300]}}).encode("ascii")


def _first_to_go() -> None:
    """Where memory runs out, the kernel is to take this process, and not who started it."""
    with suppress(OSError):
        Path("/proc/self/oom_score_adj").write_text(_MOST, "ascii")


def _limit(memory_bytes: int) -> None:
    for kind, soft, hard in (
        (resource.RLIMIT_AS, memory_bytes, memory_bytes),
        (resource.RLIMIT_CPU, PROCESSOR_S, PROCESSOR_S + 5),
        (resource.RLIMIT_FSIZE, 0, 0),
        (resource.RLIMIT_CORE, 0, 0),
    ):
        resource.setrlimit(kind, (soft, hard))
    ctypes.CDLL(None).prctl(_PARENT_DEATH, signal.SIGKILL, 0, 0, 0)


def _loaded(kind: str) -> Callable[[bytes], Parsed]:
    module, name = _PARSERS[kind]
    found = importlib.import_module(f"appliance.memory.parsing.{module}")
    for encoding in _ENCODINGS:
        importlib.import_module(f"encodings.{encoding}")
    if module != "pdf":
        _warm()
    parser: Callable[[bytes], Parsed] = getattr(found, name)
    return parser


def _warm() -> None:
    """Have the detector of encodings load what it loads at its first use."""
    decoding = importlib.import_module("appliance.memory.parsing.decoding")
    decoding.decoded("déjà vu; größer".encode("cp1252"))


def _step_down() -> None:
    """Be nobody where the parent is root, before a byte is read. Clearing the real user clears the death signal too."""
    if os.geteuid() == 0:
        os.setgroups([])
        os.setresgid(_NOBODY, _NOBODY, _NOBODY)
        os.setresuid(_NOBODY, _NOBODY, _NOBODY)
        ctypes.CDLL(None).prctl(_PARENT_DEATH, signal.SIGKILL, 0, 0, 0)


if __name__ == "__main__":
    main(sys.argv[1])
