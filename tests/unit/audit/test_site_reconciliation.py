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

RECEIPT: dict[str, Any] = {"request_id": "b", "log": {"request_index": 1, "answer_index": 3}}


def _event(kind: str, **more: object) -> dict[str, Any]:
    return {"unmapped": {"sovereign": {"kind": kind, **more}}}


def _name(number: str, what: str) -> str:
    return f"gateway/{'0' * 16}/{number}/{what}"


def _logged(**changes: dict[str, Any] | None) -> Logged:
    """Two requests, ``a`` whose caller left and ``b`` that was answered, and one sign-in."""
    entries = {
        "gateway/keycloak/1": _event("identity_sign_in"),
        _name("b", "request"): _event("request"),
        _name("a", "request"): _event("request"),
        _name("b", "end"): _event("answer", outcome="stop", receipt_digest=receipt_digest(RECEIPT)),
        _name("a", "end"): _event("answer", outcome="interrupted"),
    }
    entries |= {_name(*name.split("_")): event for name, event in changes.items() if event}
    gone = {_name(*name.split("_")) for name, event in changes.items() if event is None}
    kept = {name: event for name, event in entries.items() if name not in gone}
    return Logged(list(kept), kept, {name: index for index, name in enumerate(kept)})


def _seen(**changes: Any) -> Seen:
    given = {"asked": 2, "signed_in": 1, "begun": {"a"}, "ended": {"b": RECEIPT}, "left": {"a"}}
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


@pytest.mark.parametrize(
    ("logged", "seen", "said"),
    [
        ({}, {"begun": {"a", "c"}, "asked": 3}, "answered, and not in the log"),
        ({}, {"asked": 1}, "more requests in the log than were made"),
        ({}, {"signed_in": 2}, "sign-in"),
        ({"a_end": None}, {}, "not in the log"),
        ({"b_end": _event("answer", outcome="interrupted")}, {}, "was told the end"),
        ({"b_end": _event("answer", outcome="stop", receipt_digest="sha256:00")}, {}, "another receipt"),
        ({}, {"ended": {"b": RECEIPT | {"log": {"request_index": 1, "answer_index": 4}}}}, "lies elsewhere"),
    ],
)
def test_whatever_is_missing_added_or_another_is_seen(logged: dict[str, Any], seen: dict[str, Any], said: str) -> None:
    with pytest.raises(AssertionError, match=said):
        reconcile(_logged(**logged), _seen(**seen))


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
    lines = [["signed-in"], ["asked"], ["asked"], ["begun", "a"], ["left", "a"], ["ended", "b", RECEIPT]]
    (tmp_path / "diary").write_text("".join(json.dumps(line) + "\n" for line in lines))
    assert read_diary(tmp_path / "diary") == _seen()


def test_every_service_is_killed_and_keycloak_ten_times_at_most() -> None:
    names = order(WEIGHTS, 400, random.Random(1))
    assert len(names) == 400
    assert set(names) == set(WEIGHTS)
    assert names.count(IDENTITY) == OF_KEYCLOAK
