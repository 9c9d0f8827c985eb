"""The reconciliation of a site's storm sees what it is there to see."""

from __future__ import annotations

import json
import random
from typing import TYPE_CHECKING, Any

import pytest

from appliance.audit.receipt_check import receipt_digest
from tests.audit.site_reconciliation import Logged, Seen, outstanding, read_diary, reconcile
from tests.audit.site_storm import IDENTITY, OF_KEYCLOAK, WEIGHTS, order

if TYPE_CHECKING:
    from pathlib import Path

RECEIPT: dict[str, Any] = {"request_id": "b", "log": {"request_index": 4, "answer_index": 6}}


def _event(kind: str, **more: object) -> dict[str, Any]:
    return {"unmapped": {"sovereign": {"kind": kind, **more}}}


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
        _name("b", "end"): _event("answer", outcome="stop", receipt_digest=receipt_digest(RECEIPT)),
        _name("a", "end"): _event("answer", outcome="interrupted"),
    }
    entries |= {_name(*name.split("_")): event for name, event in changes.items() if event}
    gone = {_name(*name.split("_")) for name, event in changes.items() if event is None}
    kept = {name: event for name, event in entries.items() if name not in gone}
    return Logged(list(kept), kept, {name: index for index, name in enumerate(kept)})


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
    assert reconcile(_logged(), _seen()) == {
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
        ({"b_end": _event("answer", outcome="interrupted")}, {}, "was told the end"),
        ({"b_end": _event("answer", outcome="stop", receipt_digest="sha256:00")}, {}, "another receipt"),
        ({}, {"ended": {"b": RECEIPT | {"log": {"request_index": 4, "answer_index": 7}}}}, "lies elsewhere"),
    ],
)
def test_whatever_is_missing_added_or_another_is_seen(logged: dict[str, Any], seen: dict[str, Any], said: str) -> None:
    with pytest.raises(AssertionError, match=said):
        reconcile(_logged(**logged), _seen(**seen))


def test_a_request_that_was_refused_because_the_log_was_away_has_its_end_alone() -> None:
    assert reconcile(_logged(c_end=_event("refusal")), _seen(asked={1, 2, 3}))["logged"] == 2


def test_an_end_before_its_beginning_is_seen() -> None:
    logged = _logged()
    logged.index[_name("a", "end")] = 0
    with pytest.raises(AssertionError, match="before its beginning"):
        reconcile(logged, _seen())


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
