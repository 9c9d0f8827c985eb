"""The command checks an export too: it refuses what the script refuses, and names the entry that was changed."""

from __future__ import annotations

import base64
import json
import os
from typing import TYPE_CHECKING

import pytest

from appliance.audit.errors import LogForkedError, LogRewoundError, LogTamperedError, NoteError
from appliance.audit.export import export_files, export_range
from appliance.audit.export_verify import verify_export
from appliance.audit.keys import CheckpointKeys
from appliance.audit.note import Note, parse_note
from appliance.errors import LogInconsistentError, UsageError

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.audit.auditor import Auditor
    from tests.audit.bench import Bench


@pytest.fixture
def folder(bench: Bench, tmp_path: Path) -> Path:
    """Entries 5 to 29 of 30."""
    bench.fill(30)
    export_range(bench.directory, tmp_path / "out", first=5, last=29, vkeys=bench.vkeys)
    return tmp_path / "out"


@pytest.mark.parametrize(
    "span", [(1, 0, 0), (300, 0, 299), (300, 17, 18), (300, 255, 256), (513, 512, 512), (257, 0, 0)]
)
def test_a_whole_export_holds_and_says_of_which_log_it_is(
    bench: Bench, tmp_path: Path, span: tuple[int, int, int]
) -> None:
    size, first, last = span
    bench.fill(size)
    export_range(bench.directory, tmp_path / "out", first=first, last=last, vkeys=bench.vkeys)
    found = verify_export(tmp_path / "out", vkeys=bench.vkeys)
    assert (found.first, found.last, found.head.size, found.head.origin) == (first, last, size, bench.origin)
    assert found.checkpoint == (bench.directory / "checkpoint").read_text()


def test_what_the_page_gives_out_holds_as_well(bench: Bench, tmp_path: Path) -> None:
    bench.fill(30)
    for name, data in export_files(bench.directory, first=3, last=9, vkeys=bench.vkeys).items():
        (tmp_path / name).write_bytes(data)
    assert verify_export(tmp_path, vkeys=bench.vkeys).last == 9


def _lines(change: Callable[[list[bytes]], list[bytes]]) -> Callable[[Path], object]:
    def apply(folder: Path) -> None:
        path = folder / "entries.jsonl"
        path.write_bytes(b"".join(line + b"\n" for line in change(path.read_bytes().splitlines())))

    return apply


def _tail(more: bytes) -> Callable[[Path], object]:
    def apply(folder: Path) -> None:
        path = folder / "entries.jsonl"
        path.write_bytes(path.read_bytes() + more)

    return apply


def _proof(**fields: object) -> Callable[[Path], object]:
    def apply(folder: Path) -> None:
        path = folder / "proof.json"
        path.write_text(json.dumps(json.loads(path.read_text()) | fields))

    return apply


def _edited(lines: list[bytes]) -> list[bytes]:
    return [*lines[:2], lines[2].replace(b"demo", b"omed"), *lines[3:]]


NAMED: dict[str, tuple[Callable[[Path], object], tuple[str, int | None], str]] = {
    "an entry edited": (_lines(_edited), ("edited", 7), "position 7"),
    "an entry deleted": (_lines(lambda e: [*e[:2], *e[3:]]), ("deleted", 7), "deleted at position 7"),
    "an entry inserted": (_lines(lambda e: [*e[:2], e[0], *e[2:]]), ("inserted", 7), "inserted at position 7"),
    "two entries swapped": (_lines(lambda e: [e[1], e[0], *e[2:]]), ("reordered", 5), "entries 5 to 6"),
    "an entry added at the end": (_lines(lambda e: [*e, e[0]]), ("inserted", 30), "inserted at position 30"),
    "the last entry cut": (_lines(lambda e: e[:-1]), ("cut", 29), "1 entry from position 29 on"),
    "nothing left": (_lines(lambda _: []), ("cut", 5), "25 entries from position 5 on"),
    "text behind the last entry": (_tail(b'{"unproven":true}'), ("inserted", 30), "no entry"),
    "a line without an end": (_tail(b"x" * 70_000), ("inserted", 30), "no entry"),
    "no entries file": (lambda folder: (folder / "entries.jsonl").unlink(), ("missing", None), "no entries.jsonl"),
    "no proof": (lambda folder: (folder / "proof.json").unlink(), ("missing", None), "no proof.json"),
    "no checkpoint": (lambda folder: (folder / "checkpoint").unlink(), ("missing", None), "no checkpoint"),
}


@pytest.mark.parametrize("change", NAMED)
def test_what_was_done_to_an_export_is_named_with_its_entry(bench: Bench, folder: Path, change: str) -> None:
    apply, (kind, index), words = NAMED[change]
    apply(folder)
    with pytest.raises(LogTamperedError, match=words) as refused:
        verify_export(folder, vkeys=bench.vkeys)
    assert refused.value.exit_code == 6
    assert [(one.kind, one.index) for one in refused.value.findings] == [(kind, index)]


UNNAMED: dict[str, Callable[[Path], object]] = {
    "another position": _proof(first=6),
    "a negative position": _proof(first=-1),
    "a hash missing": _proof(hashes=[]),
    "hashes of zeros": _proof(hashes=[base64.b64encode(bytes(32)).decode()] * 9),
    "an entry edited, and no hashes of entries": lambda folder: (
        _lines(_edited)(folder),
        (folder / "leaves").unlink(),
    ),
    "an entry edited, and its hash with it": lambda folder: (
        _lines(_edited)(folder),
        (folder / "leaves").write_bytes(bytes(32 * 25)),
    ),
    "an entry edited, and the hashes led elsewhere": lambda folder: (
        _lines(_edited)(folder),
        (folder / "leaves").unlink(),
        (folder / "leaves").symlink_to("/dev/zero"),
    ),
}


@pytest.mark.parametrize("change", UNNAMED)
def test_a_proof_that_leads_nowhere_is_refused_though_no_entry_can_be_named(
    bench: Bench, folder: Path, change: str
) -> None:
    UNNAMED[change](folder)
    with pytest.raises(LogTamperedError, match="does not tell") as refused:
        verify_export(folder, vkeys=bench.vkeys)
    assert [one.kind for one in refused.value.findings] == ["rewritten"]


def test_a_hash_too_many_proves_nothing(bench: Bench, folder: Path) -> None:
    told = json.loads((folder / "proof.json").read_text())
    _proof(hashes=[*told["hashes"], told["hashes"][0]])(folder)
    with pytest.raises(LogTamperedError):
        verify_export(folder, vkeys=bench.vkeys)


def test_entries_from_the_first_on_hold_at_no_other_position_though_hashes_are_missing(
    bench: Bench, tmp_path: Path
) -> None:
    bench.fill(8)
    export_range(bench.directory, tmp_path / "out", first=0, last=7, vkeys=bench.vkeys)
    for first in (1, 5, 7):
        _proof(first=first)(tmp_path / "out")
        with pytest.raises(LogTamperedError):
            verify_export(tmp_path / "out", vkeys=bench.vkeys)


def test_every_range_of_a_small_log_holds_and_no_hash_of_its_proof_may_be_missing_or_another(
    bench: Bench, tmp_path: Path
) -> None:
    bench.fill(7)
    for first in range(7):
        for last in range(first, 7):
            out = tmp_path / f"{first}-{last}"
            export_range(bench.directory, out, first=first, last=last, vkeys=bench.vkeys)
            found = verify_export(out, vkeys=bench.vkeys)
            assert (found.first, found.last) == (first, last)
            hashes = json.loads((out / "proof.json").read_text())["hashes"]
            for at in range(len(hashes)):
                zeros = base64.b64encode(bytes(32)).decode()
                for changed in ([*hashes[:at], *hashes[at + 1 :]], [*hashes[:at], zeros, *hashes[at + 1 :]]):
                    _proof(hashes=changed)(out)
                    with pytest.raises(LogTamperedError):
                        verify_export(out, vkeys=bench.vkeys)


def test_hashes_of_entries_vouch_for_nothing(bench: Bench, folder: Path) -> None:
    (folder / "leaves").write_bytes(bytes(32 * 25))
    assert verify_export(folder, vkeys=bench.vkeys).last == 29  # an export of before had none
    (folder / "leaves").unlink()
    assert verify_export(folder, vkeys=bench.vkeys).last == 29


@pytest.mark.parametrize(
    "text",
    ["", "{", "[]", "{}", '{"first": 5, "hashes": ["="], "earlier": null}', "[" * 60_000, "9" * 60_000],
)
def test_a_malformed_proof_is_refused(bench: Bench, folder: Path, text: str) -> None:
    (folder / "proof.json").write_text(text)
    with pytest.raises(LogInconsistentError, match="malformed"):
        verify_export(folder, vkeys=bench.vkeys)


@pytest.mark.parametrize("first", ["5", 5.0, True, None])
def test_a_position_that_is_no_number_is_refused(bench: Bench, folder: Path, first: object) -> None:
    _proof(first=first)(folder)
    with pytest.raises(LogInconsistentError, match="malformed"):
        verify_export(folder, vkeys=bench.vkeys)


@pytest.mark.parametrize("half", [0, 1])
def test_both_signatures_are_asked_for(bench: Bench, folder: Path, half: int) -> None:
    note = parse_note((folder / "checkpoint").read_bytes())
    kept = tuple(one for number, one in enumerate(note.signatures) if number != half)
    (folder / "checkpoint").write_text(Note(note.text, kept).encode())
    with pytest.raises(NoteError, match="carries no"):
        verify_export(folder, vkeys=bench.vkeys)


def test_an_export_of_another_log_of_that_name_is_refused(bench: Bench, tmp_path: Path) -> None:
    forged = type(bench)(tmp_path / "forged", CheckpointKeys.generate())
    forged.fill(9)
    export_range(forged.directory, tmp_path / "out", first=0, last=8, vkeys=forged.vkeys)
    assert verify_export(tmp_path / "out", vkeys=forged.vkeys).last == 8
    with pytest.raises(NoteError) as refused:
        verify_export(tmp_path / "out", vkeys=bench.vkeys)
    assert refused.value.exit_code == 6


@pytest.mark.parametrize("sizes", [(1, 2), (7, 7), (255, 513), (256, 300)])
def test_an_export_is_held_against_a_kept_checkpoint(bench: Bench, tmp_path: Path, sizes: tuple[int, int]) -> None:
    old, new = sizes
    bench.fill(old)
    kept = (bench.directory / "checkpoint").read_text()
    bench.fill(new - old, start=old)
    export_range(bench.directory, tmp_path / "out", first=0, last=0, vkeys=bench.vkeys, kept=kept)
    assert verify_export(tmp_path / "out", vkeys=bench.vkeys, kept=kept).head.size == new
    fork = type(bench)(tmp_path / "fork", bench.keys)
    fork.fill(old, start=700)
    with pytest.raises(LogForkedError):
        verify_export(tmp_path / "out", vkeys=bench.vkeys, kept=(fork.directory / "checkpoint").read_text())


def test_an_export_older_than_what_was_kept_or_silent_of_it_is_refused(bench: Bench, tmp_path: Path) -> None:
    bench.fill(9)
    export_range(bench.directory, tmp_path / "old", first=0, last=0, vkeys=bench.vkeys)
    kept = (bench.directory / "checkpoint").read_text()
    bench.fill(9, start=9)
    export_range(bench.directory, tmp_path / "new", first=0, last=0, vkeys=bench.vkeys)
    with pytest.raises(LogInconsistentError, match="says nothing of the 9 entries"):
        verify_export(tmp_path / "new", vkeys=bench.vkeys, kept=kept)
    with pytest.raises(LogRewoundError):
        verify_export(tmp_path / "old", vkeys=bench.vkeys, kept=(bench.directory / "checkpoint").read_text())


def test_cosignatures_of_witnesses_do_not_disturb_it(bench: Bench, tmp_path: Path, auditor: Auditor) -> None:
    bench.fill(9)
    (bench.directory / "checkpoint").write_text(auditor.cosign())
    export_range(bench.directory, tmp_path / "out", first=0, last=8, vkeys=bench.vkeys)
    assert verify_export(tmp_path / "out", vkeys=bench.vkeys).last == 8


def test_what_is_no_file_of_an_export_is_not_waited_for(bench: Bench, folder: Path) -> None:
    (folder / "entries.jsonl").unlink()
    os.mkfifo(folder / "entries.jsonl")
    with pytest.raises(LogInconsistentError, match="no regular file"):
        verify_export(folder, vkeys=bench.vkeys)
    with pytest.raises(UsageError, match="no export in"):
        verify_export(folder / "absent", vkeys=bench.vkeys)
