"""What an attacker who holds the site, its log and its log keys tries against a witness: each is refused and named.

The log keys are stolen here: every false log is perfectly signed. What is left is the witness's memory.
"""

from __future__ import annotations

import json
import shutil
from typing import TYPE_CHECKING

import pytest

from appliance.audit.checkpoint import Checkpoint
from appliance.audit.cosigned import WITNESSED, brought_back, file_name
from appliance.audit.delivery import check_delivery
from appliance.audit.errors import (
    LogForkedError,
    LogReplacedError,
    LogRewoundError,
    LogTamperedError,
    NoteError,
)
from appliance.audit.note import Note, parse_note
from appliance.audit.tiles import decode_entries, encode_entries
from appliance.audit.witness_keys import WitnessKeys
from appliance.audit.witness_request import Request, make_request
from appliance.errors import LogInconsistentError
from tests.audit.auditor import NOW, Auditor

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.audit.bench import Bench


def another(bench: Bench, *spans: tuple[int, int]) -> Bench:
    """A log of the same name and keys with entries of other numbers; ``spans`` are (first, count)."""
    other = type(bench)(bench.directory.with_name("other"), bench.keys)
    for first, count in spans:
        other.fill(count, start=first)
    return other


def refused(auditor: Auditor, log: Bench, error: type[LogTamperedError], kind: str) -> None:
    """The log is refused with ``error`` whether the witness sees it or a request, and nothing is kept of it."""
    before, there = auditor.state(), log.snapshot()
    with pytest.raises(error) as caught:
        auditor.open().examine(log.directory)
    assert caught.value.findings[0].kind == kind
    assert caught.value.exit_code == 6
    assert auditor.state() == before
    assert log.snapshot() == there


def refused_request(auditor: Auditor, log: Bench, error: type[LogTamperedError]) -> None:
    old = min(auditor.open().size, log.verify().size)
    before = auditor.state()
    with pytest.raises(error):
        auditor.open().examine_request(make_request(log.directory, old, vkeys=log.vkeys).encode())
    assert auditor.state() == before


@pytest.mark.parametrize("size", [30, 256, 300])
def test_33_a_log_rewound_with_its_checkpoint_is_seen_by_the_witness(bench: Bench, auditor: Auditor, size: int) -> None:
    bench.fill(size)
    auditor.cosign()
    rewound = another(bench, (0, size - 1))
    rewound.verify()
    refused(auditor, rewound, LogRewoundError, "rewound")
    refused_request(auditor, rewound, LogRewoundError)


@pytest.mark.parametrize("grown", [0, 1, 300])
def test_34_a_fork_is_seen_by_the_witness_who_cosigned_the_other_side(
    bench: Bench, auditor: Auditor, grown: int
) -> None:
    bench.fill(40)
    auditor.cosign()
    fork = another(bench, (0, 39), (500, 1 + grown))
    fork.verify()
    refused(auditor, fork, LogForkedError, "forked")
    refused_request(auditor, fork, LogForkedError)


def test_34_the_two_signed_checkpoints_of_a_fork_are_kept_as_evidence(bench: Bench, auditor: Auditor) -> None:
    bench.fill(40)
    auditor.cosign()
    fork = another(bench, (0, 39), (500, 1))
    note = (fork.directory / "checkpoint").read_bytes()
    path = auditor.open().keep_evidence(note)
    assert path.read_bytes() == note
    assert path.parent.parent == auditor.folder
    stranger = type(bench)(bench.directory.with_name("stranger"))
    stranger.fill(1)
    with pytest.raises(NoteError):  # what is not signed proves nothing, and is not kept
        auditor.open().keep_evidence((stranger.directory / "checkpoint").read_bytes())


@pytest.mark.parametrize("count", [10, 40, 300])
def test_35_a_fresh_log_under_the_same_name_and_keys_is_named_a_replacement(
    bench: Bench, auditor: Auditor, count: int
) -> None:
    bench.fill(40)
    auditor.cosign()
    fresh = another(bench, (900, count))
    fresh.verify()
    refused(auditor, fresh, LogReplacedError, "replaced")


def test_35_a_log_under_other_keys_is_refused_by_the_witness(bench: Bench, auditor: Auditor) -> None:
    bench.fill(4)
    auditor.cosign()
    foreign = type(bench)(bench.directory.with_name("foreign"))
    foreign.fill(10)
    with pytest.raises(NoteError, match="no Ed25519"):
        auditor.open().examine(foreign.directory)


CHANGES: dict[str, Callable[[list[bytes]], list[bytes]]] = {
    "edited": lambda e: [*e[:5], e[5].replace(b'"0f1e2d"', b'"0f1e2e"'), *e[6:]],
    "deleted": lambda e: [*e[:5], *e[6:]],
    "inserted": lambda e: [*e[:5], e[5].replace(b'"e5"', b'"e99"'), *e[5:]],
    "reordered": lambda e: [*e[:5], e[6], e[5], *e[7:]],
    "cut": lambda e: e[:-3],
}


@pytest.mark.parametrize("kind", CHANGES)
def test_32_33_what_was_done_to_entries_is_named_when_the_witness_reads_them(
    bench: Bench, auditor: Auditor, kind: str
) -> None:
    bench.fill(20)
    auditor.cosign()
    bench.fill(5, start=20)
    path = bench.directory / "tile/entries/000.p/25"
    entries, _ = decode_entries(path.read_bytes())
    path.write_bytes(encode_entries(CHANGES[kind](entries)))
    refused(auditor, bench, LogTamperedError, kind)


def test_34_a_request_whose_proof_was_made_up_is_refused(bench: Bench, auditor: Auditor) -> None:
    bench.fill(40)
    auditor.cosign()
    bench.fill(5, start=40)
    good = make_request(bench.directory, 40, vkeys=bench.vkeys)
    for proof in ((), good.proof[:-1], (*good.proof, bytes(32)), tuple(reversed(good.proof)), (bytes(32),)):
        with pytest.raises(LogForkedError, match="no proof came"):
            auditor.open().examine_request(Request(40, proof, good.checkpoint).encode())
    assert auditor.open().examine_request(good.encode()).head.size == 45


def test_the_witness_s_memory_cannot_be_edited_by_whoever_holds_the_stick(bench: Bench, auditor: Auditor) -> None:
    bench.fill(40)
    auditor.cosign()
    rewound = another(bench, (0, 10))
    signed = (rewound.directory / "checkpoint").read_text()
    kept = auditor.folder / "kept"
    value = json.loads(kept.read_text())
    kept.write_text(json.dumps(value | {"note": signed}))
    with pytest.raises(NoteError, match="not cosigned by this witness"):
        auditor.open()
    forger = WitnessKeys.generate(auditor.name)
    note = parse_note(signed.encode())
    head = rewound.verify()
    lines = forger.cosign(note.text, Checkpoint(head.origin, head.size, head.root), NOW)
    kept.write_text(json.dumps(value | {"note": Note(note.text, (*note.signatures, *lines)).encode()}))
    with pytest.raises(NoteError, match="not cosigned by this witness"):
        auditor.open()
    kept.write_text("{}")
    with pytest.raises(NoteError, match="was changed"):
        auditor.open()


def test_33_a_site_that_rolled_back_cannot_put_its_witness_s_checkpoint_aside_unseen(
    bench: Bench, auditor: Auditor
) -> None:
    """The cosigned checkpoint lies beside the log: left in place, it names the rewind by itself."""
    bench.fill(40)
    auditor.bring_back(auditor.cosign())
    rewound = another(bench, (0, 30))
    shutil.copytree(bench.directory / WITNESSED, rewound.directory / WITNESSED)
    there = brought_back(rewound.directory, rewound.vkeys, [auditor.witness])
    with pytest.raises(LogTamperedError, match="rewound"):
        rewound.verify(witnessed=there)
    with pytest.raises(LogRewoundError):
        check_delivery(
            rewound.directory,
            (auditor.open().kept or pytest.fail("nothing kept")).note.encode(),
            log_keys=rewound.vkeys,
            witnesses=[auditor.witness],
        )


def test_a_checkpoint_beside_the_log_that_was_changed_is_named(bench: Bench, auditor: Auditor) -> None:
    bench.fill(4)
    auditor.bring_back(auditor.cosign())
    path = bench.directory / WITNESSED / file_name(auditor.name)
    path.write_bytes((bench.directory / "checkpoint").read_bytes())
    with pytest.raises(LogInconsistentError, match="not cosigned by it"):
        brought_back(bench.directory, bench.vkeys, [auditor.witness])


def test_the_name_of_a_witness_is_no_path(bench: Bench, tmp_path: Path) -> None:
    climbing = Auditor(bench, tmp_path / "climbing", "../../../etc/cron.d/x")
    bench.fill(1)
    climbing.bring_back(climbing.cosign())
    assert [path.parent.name for path in bench.directory.rglob("*.note")] == [WITNESSED]
    assert list(tmp_path.glob("etc*")) == []
