"""A document that was made to break its reader ends in a state of its own; nothing else is touched, others go on."""

from __future__ import annotations

import os
import tempfile
import threading
import time
import zlib
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from appliance.memory.errors import DocumentRefusedError
from appliance.memory.parsing import launch
from appliance.memory.parsing.blocks import Parsed
from tests.memory import papers
from tests.memory.parsed import descriptors, parsed

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

_LONG = launch.Bounds(seconds=60)
_ENTITIES = (
    '<!DOCTYPE x [<!ENTITY a "aaaaaaaaaa"><!ENTITY b "&a;&a;&a;&a;&a;&a;&a;&a;">'
    '<!ENTITY f SYSTEM "file:///etc/passwd">]><w:document xmlns:w="http://schemas.openxmlformats.org/wordprocessingml/'
    '2006/main"><w:body><w:p><w:r><w:t>&b;&f;</w:t></w:r></w:p></w:body></w:document>'
)
_NO_DOCUMENT = b'{"parsed": {"blocks": [{"kind": "root", "text": "x"}]}}'
_TRACEME = "if ctypes.CDLL(None, use_errno=True).ptrace(0, 0, 0, 0) == -1: raise OSError"
_TOLD = '{"parsed": {"blocks": [{"kind": "paragraph", "text": "%s"}]}}'
_SOUND = papers.docx(papers.word_paragraph("sound"))

HOSTILE: dict[str, tuple[str, Callable[[], bytes], str]] = {
    "a PDF under a password": ("a.pdf", papers.encrypted_pdf, "encrypted"),
    "a DOCX under a password": ("a.docx", lambda: b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(4096), "encrypted"),
    "an ODT under a password": (
        "a.odt",
        lambda: papers.odt("<text:p>x</text:p>", **{"META-INF/manifest.xml": "<m><encryption-data/></m>"}),
        "encrypted",
    ),
    "a truncated PDF": ("a.pdf", lambda: b"%PDF-1.7\n1 0 obj\n<< /Type /Cat", "damaged"),
    "a truncated DOCX": ("a.docx", lambda: _SOUND[: len(_SOUND) // 2], "damaged"),
    "a zip bomb": ("a.docx", lambda: papers.archive({"word/document.xml": bytes(200 << 20)}), "too_large"),
    "an archive of countless files": (
        "a.odt",
        lambda: papers.archive({f"{n}": b"" for n in range(20_001)}),
        "too_large",
    ),
    "a DOCX with macros": ("a.docx", lambda: papers.docx("<w:p/>", **{"word/vbaProject.bin": b"x"}), "macros"),
    "an ODT with macros": (
        "a.odt",
        lambda: papers.odt("<text:p>x</text:p>", **{"Basic/Standard/x.xml": "<x/>"}),
        "macros",
    ),
    "entities that multiply and reach for files": (
        "a.docx",
        lambda: papers.archive({"word/document.xml": _ENTITIES}),
        "damaged",
    ),
    "XML that nests without end": ("a.odt", lambda: papers.odt("<text:span>" * 100_000 + "x"), "damaged"),
    "a text in no encoding": ("a.txt", lambda: b"\xff\xfe\x00\xd8" + bytes(range(256)) * 40, "encoding"),
    "a picture named text": (
        "a.txt",
        lambda: b"\x89PNG\r\n\x1a\n" + zlib.compress(bytes(range(256)) * 9) * 50,
        "encoding",
    ),
    "a PDF with no text": ("a.pdf", lambda: papers.pdf([[]]), "no_text"),
    "a file that is no message": ("a.eml", lambda: b"\n\nnothing", "damaged"),
}


@pytest.mark.parametrize("what", HOSTILE)
def test_a_hostile_document_is_refused_for_its_own_reason(what: str) -> None:
    name, made, reason = HOSTILE[what]
    before = descriptors()
    with pytest.raises(DocumentRefusedError) as refused:
        parsed(name, made())
    assert refused.value.reason in {reason, "too_deep"} if "nests" in what else refused.value.reason == reason
    assert refused.value.hint
    assert "\n" not in refused.value.cause
    assert descriptors() == before


def test_a_file_of_two_gigabytes_is_refused_unread() -> None:
    with tempfile.TemporaryFile() as file:
        file.truncate(2 << 30)
        with pytest.raises(DocumentRefusedError) as refused:
            launch.kind_of("a.pdf", file.fileno())
    assert refused.value.reason == "too_large"


def test_pages_that_nest_a_million_deep_are_no_crash() -> None:
    with pytest.raises(DocumentRefusedError) as refused:
        parsed("a.html", b"<div>" * 1_000_000 + b"deep" + b"</div>" * 10)
    assert refused.value.reason == "no_text"  # what lies deeper than a page ever does is not read


@pytest.mark.parametrize(
    ("behaviour", "reason"),
    [
        ("import os; os.abort()", "crashed"),
        ("import time; time.sleep(60)", "too_long"),
        ("x = []\nwhile True: x.append(bytearray(1 << 29))", "memory"),
        ("import os\nwhile True: os.write(1, b'x' * 65536)", "too_large"),
        (
            'import os; os.write(1, b\'{"parsed": {"blocks": [{"kind": "root", "text": "x"}]}}\'); os._exit(0)',
            "crashed",
        ),
        ("import os; os.write(1, b'{}'); os._exit(0)", "no_text"),
        ("import os; os.close(1); import time; time.sleep(60)", "too_long"),
    ],
)
def test_a_parser_that_was_taken_over_costs_one_document(
    monkeypatch: pytest.MonkeyPatch, behaviour: str, reason: str
) -> None:
    seconds = 3 if "sleep" in behaviour else 60
    result = _taken_over(monkeypatch, behaviour, launch.Bounds(output_bytes=1 << 20, seconds=seconds))
    assert isinstance(result, DocumentRefusedError)
    assert result.reason == reason
    monkeypatch.undo()
    assert parsed("b.md", b"# still\n\nhere").title == "still"


ATTEMPTS = [
    "open('/etc/passwd')",
    "open('/dev/null', 'w')",
    "import os; os.stat('/')",
    "import os; os.listdir('/')",
    "import socket; socket.socket(socket.AF_INET, socket.SOCK_STREAM)",
    "import socket; socket.socketpair()",
    "import os\nif os.fork() == 0: os._exit(0)",
    f"import os; os.execv('/bin/echo', ['echo', {_TOLD % 'reached'!r}])",
    "import os; os.kill(os.getpid(), 0)",
    "import os; os.setresuid(os.getuid(), os.getuid(), os.getuid())",
    "import os; os.pipe()",
    "import os; os.unlink('PLACE')",
    f"import ctypes\n{_TRACEME}",
]


@pytest.mark.parametrize("attempt", ATTEMPTS)
def test_a_parser_that_was_taken_over_reaches_nothing(
    monkeypatch: pytest.MonkeyPatch, attempt: str, place: Path
) -> None:
    assert _attempted(monkeypatch, attempt, place) == ["refused"]
    assert place.exists()


@pytest.mark.parametrize("attempt", ATTEMPTS)
def test_each_of_these_attempts_would_reach_it_if_nothing_confined_the_parser(
    monkeypatch: pytest.MonkeyPatch, attempt: str, place: Path
) -> None:
    assert _attempted(monkeypatch, attempt, place, confined=False) == ["reached"]
    assert place.exists() == ("unlink" not in attempt)


@pytest.fixture
def place() -> Iterator[Path]:
    """A file that anybody may delete."""
    with tempfile.TemporaryDirectory() as folder:
        Path(folder).chmod(0o777)
        file = Path(folder, "file")
        file.touch()
        yield file


def test_where_memory_runs_out_the_parser_is_taken_and_not_who_started_it() -> None:
    seen: list[str] = []

    def look() -> None:
        """It is there until somebody reads what it says: a pipe does not hold it all."""
        (pid,) = Path(f"/proc/self/task/{threading.get_native_id()}/children").read_text().split()[-1:]
        for _ in range(3000):
            seen.append(Path(f"/proc/{pid}/oom_score_adj").read_text().strip())
            if seen[-1] == "1000":
                return
            time.sleep(0.01)

    with tempfile.TemporaryFile() as file:
        file.write(b"A rule holds for everybody here.\n\n" * 20_000)
        file.flush()
        launch.parse(file.fileno(), "text/plain", start=look)
    assert seen[-1] == "1000"
    assert Path("/proc/self/oom_score_adj").read_text().strip() != "1000"


def _attempted(monkeypatch: pytest.MonkeyPatch, attempt: str, place: Path, *, confined: bool = True) -> list[str]:
    told = (
        f"import os\ntry:\n    exec({attempt.replace('PLACE', str(place))!r})\n    said = 'reached'\n"
        "except (OSError, MemoryError):\n    said = 'refused'\n"
        f"os.write(1, ({_TOLD!r} % said).encode())\nos._exit(0)"
    )
    result = _taken_over(monkeypatch, told, _LONG, confined=confined)
    assert isinstance(result, Parsed), result
    return [block.text for block in result.blocks]


def _taken_over(
    monkeypatch: pytest.MonkeyPatch, behaviour: str, bounds: launch.Bounds, *, confined: bool = True
) -> object:
    """What comes of a document whose parser runs ``behaviour`` once it is confined: loaded before, run after."""
    waived = "" if confined else "child.seal = child.confine = lambda *_, **__: None\n"
    hostile = (
        "import sys; sys.path.insert(0, sys.argv[1]); import socket, ctypes, time\n"
        "from appliance.memory.parsing import child, plain\n"
        f"code = compile({behaviour!r}, 'hostile', 'exec')\n"
        "plain.text = lambda raw: exec(code, {})\n"
        f"{waived}child.main('text/plain')"
    )
    monkeypatch.setattr(launch, "_START", hostile)
    with tempfile.TemporaryFile() as file:
        file.write(b"whatever")
        file.flush()
        os.lseek(file.fileno(), 0, os.SEEK_SET)
        try:
            return launch.parse(file.fileno(), "text/plain", bounds)
        except DocumentRefusedError as error:
            return error
