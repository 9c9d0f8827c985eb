"""The reconciliation of a site's storm sees what it is there to see."""

from __future__ import annotations

import base64
import json
import random
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from appliance.audit.checkpoint import Checkpoint
from appliance.audit.edge import Edge
from appliance.audit.entry import encode_entry
from appliance.audit.keys import CheckpointKeys
from appliance.audit.proofs import inclusion_proof
from appliance.audit.receipt_check import receipt_digest
from appliance.audit.tiles import TileReader
from appliance.audit.tlog_proof import tlog_proof
from appliance.errors import LogInconsistentError
from tests.audit.site_reconciliation import Logged, Seen, outstanding, proven, read_diary, read_log, reconcile
from tests.audit.site_storm import IDENTITY, OF_KEYCLOAK, WEIGHTS, order

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.audit.bench import Bench

Receipt = dict[str, Any]
KEYS, ORIGIN = CheckpointKeys.generate(), "site.example/audit"
VKEYS = KEYS.vkeys(ORIGIN)
BARE: Receipt = {"request_id": "b", "usage": {"prompt_tokens": 3}, "commitments": {"answer": "sha256:00"}}
BEGUN, ENDED = 4, 6
"""Where the answered request lies in the log below, and its end."""


def _event(kind: str, **more: object) -> dict[str, Any]:
    return {"metadata": {}, "unmapped": {"sovereign": {"kind": kind, **more}}}


def _answer(**more: object) -> dict[str, Any]:
    """How ``b`` ended."""
    said = {"outcome": "stop", "request_index": BEGUN, "answer_commitment": "sha256:00"}
    made = _event("answer", **said | {"receipt_digest": receipt_digest(BARE)} | more)
    return made | {"metadata": {"correlation_uid": "b"}}


def _sign_in(client: str = "batch", status: int = 1, at: str = "2026-11-22T12:00:00.000+00:00") -> dict[str, Any]:
    made = _event("identity_sign_in", client_id=client)
    return made | {"status_id": status, "metadata": {"original_time": at}}


def _request(question: int) -> dict[str, Any]:
    return _event("request", sampler={"seed": question})


def _name(number: str, what: str) -> str:
    return f"gateway/{'0' * 16}/{number}/{what}"


def _logged(**changes: dict[str, Any] | None) -> Logged:
    """Two requests, ``a`` whose caller left and ``b`` that was answered, and one sign-in; of others some more."""
    entries = {
        "identity/event/1": _sign_in(),
        "identity/event/2": _sign_in("web"),
        "identity/event/3": _sign_in(status=2),
        "identity/event/4": _sign_in(at="2026-11-22T11:59:59.998+00:00"),
        _name("b", "request"): _request(2),
        _name("a", "request"): _request(1),
        _name("b", "end"): _answer(),
        _name("a", "end"): _event("answer", outcome="interrupted"),
    }
    entries |= {_name(*name.split("_")): event for name, event in changes.items() if event}
    gone = {_name(*name.split("_")) for name, event in changes.items() if event is None}
    kept = {name: _stored(name, event) for name, event in entries.items() if name not in gone}
    return Logged(list(kept), kept, {name: index for index, name in enumerate(kept)})


def _stored(name: str, event: dict[str, Any]) -> dict[str, Any]:
    return event | {"metadata": event["metadata"] | {"uid": name}}


def _head() -> tuple[Checkpoint, TileReader]:
    """What is signed of the log, and its tiles."""
    logged = _logged()
    edge = Edge().grow([encode_entry(logged.events[name], name) for name in logged.order])
    head = Checkpoint(ORIGIN, edge.edge.size, edge.edge.tree.root())
    return head, TileReader(Path("nowhere"), head.size, edge.files)


def _receipt() -> Receipt:
    """That of ``b``, with its proof."""
    head, tiles = _head()
    hashes = [base64.b64encode(one).decode() for one in inclusion_proof(tiles, ENDED)]
    proof = tlog_proof(ENDED, hashes, KEYS.sign(head, time=1), tiles.entry(ENDED))
    place = {"origin": ORIGIN, "request_index": BEGUN, "answer_index": ENDED, "size": head.size, "proof": proof}
    return {**BARE, "log": place}


RECEIPT = _receipt()


def _seen(**changes: Any) -> Seen:
    given = {
        "client": "batch",
        "asked": {1, 2},
        "signing_in": [1_795_348_799_999],
        "signed_in": 1,
        "told": {"a": 1, "b": 2},
        "ended": {"b": RECEIPT},
        "left": {"a"},
    }
    return Seen(**{**given, **changes})


def test_a_log_that_has_everything_once_is_reconciled() -> None:
    assert reconcile(_logged(), _seen(), proven(_seen(), VKEYS)) == {
        "asked": 2,
        "logged": 2,
        "told their end": 1,
        "left": 1,
        "ended by the writer": 1,
        "sign-ins": 1,
    }


TWICE = {"c_request": _request(2), "c_end": _event("answer", outcome="interrupted")}


@pytest.mark.parametrize(
    ("logged", "seen", "said"),
    [
        ({}, {"told": {"a": 1, "b": 2, "c": 3}, "asked": {1, 2, 3}}, "answered, and not in the log"),
        ({}, {"asked": {2}}, "a question that nobody asked: 1"),
        ({"a_request": _event("request")}, {}, "a question that nobody asked: None"),
        (TWICE, {"asked": {1, 2, 3, 4, 5}}, "question 2 lies twice, as b and as c"),
        ({}, {"told": {"a": 2, "b": 1}}, "of another question"),
        ({"c_end": _event("answer", outcome="interrupted")}, {}, "an answer to what never began"),
        ({}, {"signed_in": 2, "signing_in": [1_795_348_799_999] * 2}, "sign-in"),
        ({}, {"signed_in": 0, "signing_in": []}, "2 sign-ins in the log, and 0 were asked for"),
        ({"a_end": None}, {}, "not in the log"),
        ({"b_end": _answer(outcome="interrupted")}, {}, "was told the end"),
        ({"b_end": _answer(receipt_digest="sha256:00")}, {}, "b has another end than its receipt proves"),
        ({"b_end": _answer(request_index=3)}, {}, "b has another end than its receipt proves"),
    ],
)
def test_whatever_is_missing_added_or_another_is_seen(logged: dict[str, Any], seen: dict[str, Any], said: str) -> None:
    found = _seen(**seen)
    with pytest.raises(AssertionError, match=said):
        reconcile(_logged(**logged), found, proven(found, VKEYS))


@pytest.mark.parametrize(
    ("what", "said"), [("end", "lies elsewhere than its receipt"), ("request", "begins elsewhere than its receipt")]
)
def test_an_entry_at_another_place_than_a_receipt_proves_is_named(what: str, said: str) -> None:
    logged = _logged()
    logged.index[_name("b", what)] -= 1
    with pytest.raises(AssertionError, match=f"b {said}"):
        reconcile(logged, _seen(), proven(_seen(), VKEYS))


def _placed(**changes: object) -> Receipt:
    return {**RECEIPT, "log": {**RECEIPT["log"], **changes}}


def _proof(change: Callable[[list[str]], list[str]]) -> Receipt:
    return _placed(proof="\n".join(change(RECEIPT["log"]["proof"].split("\n"))))


@pytest.mark.parametrize(
    ("receipt", "said"),
    [
        (None, "without a receipt"),
        (BARE, "carries no proof"),
        (_placed(proof=None), "carries no proof"),
        (_proof(lambda lines: [*lines[:4], *lines[5:]]), "the proof does not hold"),
        (_proof(lambda lines: [*lines[:2], "index 5", *lines[3:]]), "the proof does not hold"),
        (_proof(lambda lines: [*lines[:-2], ""]), "signature"),
        (_placed(answer_index=7), "the receipt's answer index"),
        (_placed(request_index=5), "the receipt's request index"),
        (_placed(size=7), "the receipt's size"),
        (_placed(origin="another"), "the receipt's origin"),
        (RECEIPT | {"usage": {"prompt_tokens": 4}}, "something that the receipt says"),
        (RECEIPT | {"request_id": "a"}, "the receipt's request id"),
    ],
)
def test_a_receipt_with_a_wrong_proof_place_or_digest_is_found_and_named(receipt: Receipt | None, said: str) -> None:
    with pytest.raises(AssertionError, match=rf"\bb\b.*{said}"):
        proven(_seen(ended={"b": receipt}), VKEYS)


def test_a_receipt_under_another_sites_keys_is_named() -> None:
    with pytest.raises(AssertionError, match="the receipt of b does not hold"):
        proven(_seen(), CheckpointKeys.generate().vkeys(ORIGIN))


def test_a_log_that_does_not_extend_what_a_receipt_was_proved_under_is_refused(bench: Bench) -> None:
    bench.fill(20)
    own = bench.verify().head
    assert read_log(bench.directory, bench.vkeys, 8, [own]).order == [f"e{number}" for number in range(8, 20)]
    with pytest.raises(LogInconsistentError, match="a caller"):
        read_log(bench.directory, bench.vkeys, 8, [_head()[0]])


def test_a_request_that_was_refused_because_the_log_was_away_has_its_end_alone() -> None:
    logged = _logged(c_end=_event("refusal"))
    assert reconcile(logged, _seen(asked={1, 2, 3}), proven(_seen(), VKEYS))["logged"] == 2


def test_an_end_before_its_beginning_is_seen() -> None:
    logged = _logged()
    logged.index[_name("a", "end")] = 0
    with pytest.raises(AssertionError, match="before its beginning"):
        reconcile(logged, _seen(), proven(_seen(), VKEYS))


def test_what_is_still_to_come_is_told(tmp_path: Path) -> None:
    assert not outstanding(_logged(), _seen())
    late = outstanding(_logged(a_end=None), _seen(signed_in=3))
    assert len(late) == 3
    assert _name("a", "end").removesuffix("/end") in late[0]
    lines = [["signing-in", 1_795_348_799_999], ["signed-in"], ["asked", 1], ["asked", 2], ["begun", "a", 1]]
    lines += [["left", "a"], ["ended", "b", 2, RECEIPT]]
    (tmp_path / "diary").write_text("".join(json.dumps(line) + "\n" for line in lines))
    assert read_diary(tmp_path / "diary", "batch") == _seen()


def test_every_service_is_killed_and_keycloak_ten_times_at_most() -> None:
    names = order(WEIGHTS, 400, random.Random(1))
    assert len(names) == 400
    assert set(names) == set(WEIGHTS)
    assert names.count(IDENTITY) == OF_KEYCLOAK
