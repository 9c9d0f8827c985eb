"""Holds a site's log against what programs saw of the site, whatever was killed meanwhile. Pure, but for two readers.

For every request whose answer began to arrive there is one entry that it began and one, later, how it ended; a caller
that was told the end has a receipt, whole answer or stream, which proves under the log's verifier keys alone the very
end that the log holds, where the receipt says, under a checkpoint that the log still extends. What lies in the log
was asked, and once: questions are told apart by the seed that each names, so that one which was logged twice is seen
under whatever ids. No answer is to a request that never began (one that was refused because the log did not say that it
took its beginning has its end, wherever that is). Every sign-in that the program's client was granted is
there, and no more of them than it asked for.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING, Any

from appliance.audit.closing import OUTCOME
from appliance.audit.cosigned import Witnessed
from appliance.audit.entry import decode_entry
from appliance.audit.errors import NoteError, ReceiptError
from appliance.audit.ocsf import SUCCESS
from appliance.audit.open_requests import BEGUN, ENDED, end_id, step
from appliance.audit.receipt_check import check_receipt
from appliance.audit.verify import verify_log

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from pathlib import Path

    from appliance.audit.checkpoint import Checkpoint
    from appliance.audit.note import VerifierKey
    from appliance.audit.receipt_check import CheckedReceipt

_GIVEN = {"stop", "length"}


@dataclass
class Seen:
    """What the callers noted; ``ended`` has the receipts of those who were told their end, ``told`` all questions."""

    client: str
    asked: set[int] = field(default_factory=set)
    signing_in: list[int] = field(default_factory=list)
    """When, in milliseconds."""
    signed_in: int = 0
    told: dict[str, int] = field(default_factory=dict)
    ended: dict[str, dict[str, Any] | None] = field(default_factory=dict)
    left: set[str] = field(default_factory=set)


@dataclass
class Logged:
    """What the log holds from some entry on: ids in order, and the event of each."""

    order: list[str] = field(default_factory=list)
    events: dict[str, dict[str, Any]] = field(default_factory=dict)
    index: dict[str, int] = field(default_factory=dict)


def read_diary(path: Path, client: str) -> Seen:
    """What stands in a diary of programs that sign in as ``client``."""
    seen = Seen(client)
    for line in path.read_text().splitlines():
        kind, *fields = json.loads(line)
        if kind == "asked":
            seen.asked.add(fields[0])
        elif kind == "signing-in":
            seen.signing_in.append(fields[0])
        elif kind == "signed-in":
            seen.signed_in += 1
        elif kind == "begun":
            seen.told[fields[0]] = fields[1]
        elif kind == "left":
            seen.left.add(fields[0])
        elif kind == "ended":
            seen.told[fields[0]] = fields[1]
            seen.ended[fields[0]] = fields[2]
    return seen


def proven(seen: Seen, vkeys: tuple[VerifierKey, ...]) -> dict[str, CheckedReceipt]:
    """What each receipt proves, by its request, under ``vkeys`` alone. Raises ``AssertionError`` naming the first that
    proves nothing, or is not there.
    """
    found = {}
    for number, receipt in seen.ended.items():
        assert receipt is not None, f"a caller was told the end of {number} without a receipt"
        try:
            found[number] = check_receipt(receipt, vkeys)
        except (NoteError, ReceiptError) as error:
            raise AssertionError(f"the receipt of {number} does not hold: {error.cause}") from error
    return found


def read_log(
    directory: Path, vkeys: tuple[VerifierKey, ...], start: int = 0, heads: Iterable[Checkpoint] = ()
) -> Logged:
    """Entries from ``start`` on of a log that proves itself, and that extends each of ``heads``.

    Raises ``AssertionError`` where an id lies twice, ``LogTamperedError`` for a log that was signed otherwise before.
    """
    found = Logged()
    known: set[str] = set()

    def visit(first: int, entries: list[bytes]) -> None:
        for index, entry in enumerate(entries, first):
            entry_id, event = decode_entry(entry)
            assert entry_id not in known, f"{entry_id} lies twice, the second time at {index}"
            known.add(entry_id)
            if index >= start:
                found.order.append(entry_id)
                found.events[entry_id], found.index[entry_id] = event, index

    verify_log(directory, vkeys=vkeys, visit=visit, witnessed=[Witnessed("a caller", head, 0) for head in heads])
    return found


def outstanding(logged: Logged, seen: Seen) -> list[str]:
    """What the log does not say yet, and will: ends that its writer adds, sign-ins that a gateway has to fetch."""
    missing = seen.signed_in - len(_sign_ins(logged, seen))
    return [*_unfinished(logged), *["a sign-in that Keycloak granted"] * max(missing, 0)]


def reconcile(logged: Logged, seen: Seen, receipts: Mapping[str, CheckedReceipt]) -> dict[str, int]:
    """Hold the log against what was seen and ``receipts`` (``proven``); figures of both. Raises ``AssertionError``."""
    begun = _begun(logged)
    by_number = {request.rpartition("/")[2]: request for request in begun}
    assert len(by_number) == len(begun), "two gateways gave one number"
    late = outstanding(logged, seen)
    assert not late, f"not in the log: {late[:5]}"
    assert all(logged.index[end_id(request)] > index for request, index in begun.items()), "an end before its beginning"
    stray = _answered(logged) - {end_id(request) for request in begun}
    assert not stray, f"an answer to what never began: {sorted(stray)[:5]}"
    missing = set(seen.told) - set(by_number)
    assert not missing, f"answered, and not in the log: {sorted(missing)[:5]}"
    _require_once(logged, seen, by_number)
    granted = len(_sign_ins(logged, seen))
    assert granted <= len(seen.signing_in), f"{granted} sign-ins in the log, and {len(seen.signing_in)} were asked for"
    ends = {number: logged.events[end_id(request)] for number, request in by_number.items()}
    for number in seen.ended:
        said = _ours(ends[number])
        assert said["outcome"] in _GIVEN, f"a caller was told the end of {number}, and the log says {said['outcome']}"
        proof, begin = receipts[number], begun[by_number[number]]
        assert proof.index == logged.index[end_id(by_number[number])], f"{number} lies elsewhere than its receipt says"
        assert proof.event == ends[number], f"{number} has another end than its receipt proves"
        assert said.get("request_index") == begin, f"{number} begins elsewhere than its receipt says"
    outcomes = [str(_ours(event).get("outcome")) for event in ends.values()]
    return {
        "asked": len(seen.asked),
        "logged": len(begun),
        "told their end": len(seen.ended),
        "left": len(seen.left),
        "ended by the writer": outcomes.count(OUTCOME),
        "sign-ins": granted,
    }


def _require_once(logged: Logged, seen: Seen, by_number: Mapping[str, str]) -> None:
    """Each request in the log is of a question that was asked, and of no other request's; the one that was told."""
    numbers: dict[int, str] = {}
    for number, request in by_number.items():
        question = _ours(logged.events[f"{request}/{BEGUN}"]).get("sampler", {}).get("seed")
        assert question in seen.asked, f"{number} is of a question that nobody asked: {question}"
        assert question not in numbers, f"question {question} lies twice, as {numbers.get(question)} and as {number}"
        assert seen.told.get(number, question) == question, f"{number} is of another question than was asked"
        numbers[question] = number


def _begun(logged: Logged) -> dict[str, int]:
    steps = ((entry_id, step(entry_id)) for entry_id in logged.order)
    return {found[0]: logged.index[entry_id] for entry_id, found in steps if found and found[1]}


def _unfinished(logged: Logged) -> list[str]:
    return [f"the end of {request}" for request in _begun(logged) if end_id(request) not in logged.events]


def _answered(logged: Logged) -> set[str]:
    """Ids under which requests are ended by an answer, or by the writer."""
    suffix = f"/{ENDED}"
    return {one for one, event in logged.events.items() if one.endswith(suffix) and _ours(event)["kind"] == "answer"}


def _sign_ins(logged: Logged, seen: Seen) -> list[str]:
    """Those that Keycloak granted to the programs' client since they began."""
    wanted, since = {"kind": "identity_sign_in", "client_id": seen.client}, min(seen.signing_in, default=0)
    return [
        name
        for name, event in logged.events.items()
        if wanted.items() <= _ours(event).items()
        and event["status_id"] == SUCCESS
        and datetime.fromisoformat(event["metadata"]["original_time"]).timestamp() * 1000 >= since
    ]


def _ours(event: Mapping[str, Any]) -> dict[str, Any]:
    return dict(event["unmapped"]["sovereign"])
