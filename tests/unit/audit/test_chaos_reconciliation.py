"""What `make chaos` would say of a log that lost something, has something twice, or has what nobody sent."""

from __future__ import annotations

import base64
import hashlib
import json
from typing import TYPE_CHECKING, Any

import pytest

from appliance.audit import events
from appliance.audit.closing import interrupted
from appliance.audit.entry import decode_entry, encode_entry
from appliance.audit.tiles import tile_path
from appliance.audit.tlog_proof import tlog_proof
from appliance.errors import LogInconsistentError
from tests.audit.chaos import Outcome, reconcile
from tests.audit.chaos_callers import ANSWER, CALL
from tests.audit.chaos_proofs import prove_all

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.audit.bench import Bench

Record = tuple[str, bytes]
Records = list[Record]
REQUEST = events.request(**CALL)


def _id(request: str, step: str) -> str:
    return f"gateway/{'0' * 16}/{request}/{step}"


def _record(entry_id: str, event: dict[str, Any]) -> Record:
    return entry_id, encode_entry(event, entry_id)


def _ended_by_the_writer(request: str, begun: Record, index: int) -> Record:
    event = interrupted(decode_entry(begun[1])[1], index)
    assert event is not None
    return _record(_id(request, "end"), event)


def _whole() -> Records:
    """``a`` that its caller ended, ``b`` that the writer ended, and a refusal at the door."""
    begun = [_record(_id(name, "request"), REQUEST) for name in "ab"]
    refusal = _record("gateway/c/refusal", events.refusal(request_id="c", reason_code="chaos", status=429))
    return [*begun, _record(_id("a", "end"), ANSWER), refusal, _ended_by_the_writer("b", begun[1], 1)]


def _write(bench: Bench, folder: Path, told: Records, lies: Records, first: int = 0) -> None:
    """A log in which ``lies`` lies, and the diary of whoever was told that ``told`` does, from ``first`` on.

    Ends come with the proof of what lies where they were told to.
    """
    log = bench.open()
    for record in lies:
        log.append([record])  # as a defective writer might: nobody asks for ids here
    lines: list[list[Any]] = []
    for index, (entry_id, entry) in enumerate(told[:-1], first):  # the last is the writer's
        lines += [["sent", entry_id, hashlib.sha256(entry).hexdigest()], ["held", entry_id, index, index + 1]]
        if entry_id.endswith("/end"):
            hashes = [base64.b64encode(one).decode() for one in log.prove([index])[0]]
            lines[-1].append(tlog_proof(index, hashes, log.open().note, lies[index][1]))
    bench.close()
    _note(folder, lines)


def _note(folder: Path, lines: list[list[Any]]) -> None:
    (folder / "diary-0").write_text("".join(json.dumps(line) + "\n" for line in lines))


def _noted(folder: Path) -> list[list[Any]]:
    return [json.loads(line) for line in (folder / "diary-0").read_text().splitlines()]


def test_a_log_that_has_everything_once_is_reconciled(bench: Bench, tmp_path: Path) -> None:
    _write(bench, tmp_path, whole := _whole(), whole)
    assert reconcile(bench, tmp_path) == Outcome(entries=5, held=4, proofs=1, recoveries=0, requests=2, interrupted=1)


def _lost(place: int) -> Callable[[Records], Records]:
    return lambda records: [*records[:place], *records[place + 1 :]]


def _twice(place: int) -> Callable[[Records], Records]:
    return lambda records: [*records, records[place]]


def _also(*more: Record) -> Callable[[Records], Records]:
    return lambda records: [*records, *more]


def _instead(place: int, record: Record) -> Callable[[Records], Records]:
    return lambda records: [*records[:place], record, *records[place + 1 :]]


def _swapped(one: int, other: int) -> Callable[[Records], Records]:
    def swap(records: Records) -> Records:
        records[one], records[other] = records[other], records[one]
        return records

    return swap


AGAIN = _record(_id("d", "request"), REQUEST)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (_lost(0), "found at another"),
        (_lost(2), "found at another"),
        (_lost(3), "found at another"),
        (_lost(4), "without an end"),
        (_twice(0), "lies at 0 and at 5"),
        (_twice(2), "lies at 2 and at 5"),
        (_twice(4), "lies at 4 and at 5"),
        (_also(AGAIN, _ended_by_the_writer("d", AGAIN, 5)), "nobody sent"),
        (_also(_ended_by_the_writer("d", AGAIN, 5)), "an end of what never began"),
        (_also(_record("writer/other", REQUEST)), "nobody sent"),
        (_swapped(0, 1), "found at another"),
        (_instead(0, _record(_id("a", "request"), events.request(**CALL, purpose="another"))), "sent otherwise"),
        (_instead(2, _ended_by_the_writer("a", _whole()[0], 0)), "told of an end that is not in the log"),
    ],
)
def test_what_is_lost_doubled_or_foreign_is_named(
    bench: Bench, tmp_path: Path, change: Callable[[Records], Records], said: str
) -> None:
    told = _whole()
    _write(bench, tmp_path, told, change(list(told)))
    with pytest.raises(AssertionError, match=said):
        reconcile(bench, tmp_path)


def test_an_end_that_the_writer_put_before_its_beginning_is_named(bench: Bench, tmp_path: Path) -> None:
    told = _whole()
    _write(bench, tmp_path, told, [told[4], *told[:4]], first=1)
    with pytest.raises(AssertionError, match="an end before its beginning"):
        reconcile(bench, tmp_path)


def test_a_log_that_was_put_back_under_what_a_caller_saw_signed_is_named(bench: Bench, tmp_path: Path) -> None:
    told = _whole()
    _write(bench, tmp_path, told, told)
    old = type(bench)(tmp_path / "older", bench.keys)
    log = old.open()
    log.append(told[:4])
    old.close()
    with pytest.raises(LogInconsistentError):
        reconcile(old, tmp_path)


def _without(proof: str, place: int) -> str:
    lines = proof.split("\n")
    return "\n".join([*lines[:place], *lines[place + 1 :]])


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda proof: _without(proof, 3), "the proof of .*a/end does not hold"),
        (lambda proof: proof.replace("index 2\n", "index 3\n"), "the proof of .*a/end does not hold"),
        (lambda proof: _without(proof, -2), "the proof of .*a/end does not hold"),
        (lambda _: None, "a/end was acknowledged without a proof"),
    ],
    ids=["a hash less", "another place", "a signature less", "none"],
)
def test_a_proof_that_a_caller_was_given_and_that_does_not_hold_is_named(
    bench: Bench, tmp_path: Path, change: Callable[[str], str | None], said: str
) -> None:
    _write(bench, tmp_path, told := _whole(), told)
    lines = _noted(tmp_path)
    lines[5][4] = change(lines[5][4])
    _note(tmp_path, lines)
    with pytest.raises(AssertionError, match=said):
        reconcile(bench, tmp_path)


def test_a_proof_of_another_place_than_was_told_and_an_end_that_was_never_proved_are_named(
    bench: Bench, tmp_path: Path
) -> None:
    _write(bench, tmp_path, told := _whole(), told)
    lines = _noted(tmp_path)
    proof = lines[5].pop()
    _note(tmp_path, lines)
    with pytest.raises(AssertionError, match="told of an end without its proof"):
        reconcile(bench, tmp_path)
    lines[7].append(proof)
    _note(tmp_path, lines)
    with pytest.raises(AssertionError, match="told to lie at 3, and proved at 2"):
        reconcile(bench, tmp_path)


def test_every_acknowledged_entry_is_proved_and_the_one_that_cannot_be_is_named(bench: Bench) -> None:
    bench.fill(300)
    names = {f"e{number}": number for number in range(300)}
    sent = {name: hashlib.sha256(bench.record(name)[1]).hexdigest() for name in names}
    prove_all(bench, names.items(), sent)
    with pytest.raises(AssertionError, match="e7 is not the entry at 8"):
        prove_all(bench, {**names, "e7": 8}.items(), sent)
    with pytest.raises(AssertionError, match="e299 is not the entry at 299"):
        prove_all(bench, names.items(), sent | {"e299": sent["e298"]})
    tile = bench.directory / tile_path(0, 0)
    hashes = tile.read_bytes()
    tile.write_bytes(hashes[:32] + bytes(32) + hashes[64:])
    with pytest.raises(AssertionError, match="at 0 has no proof"):
        prove_all(bench, names.items(), sent)
