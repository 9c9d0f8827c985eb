"""What was said behind an entry is shown to nobody on one person's word, and to nobody unseen.

The attacker is one of the auditors, or the operator, and has every file that the other ever signed
(``tests.audit.revealing``).
"""

from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING

import pytest

from appliance.audit.client import SyncAuditClient
from appliance.audit.errors import ApartError, RevealError
from appliance.audit.events_operation import install_step
from appliance.audit.merkle import leaf_hash
from appliance.audit.roles import OPERATOR
from appliance.errors import SovereignError, UnavailableError, UsageError
from appliance.site.paths import AUDIT
from tests.audit.revealing import ANSWER, LONG, PROMPT, SUBJECT, Site, agreed, asked

if TYPE_CHECKING:
    from collections.abc import Callable


@pytest.fixture
def site(reveal_site: Site) -> Site:
    return reveal_site


def test_two_persons_see_what_was_said_and_the_log_has_both_and_each_showing(site: Site) -> None:
    site.request()
    site.approve()
    assert site.logged() == []
    assert site.show().exit_code == 0
    said = site.desk / "said"
    assert said.stat().st_mode & 0o777 == 0o600
    told = json.loads(said.read_text())
    assert told == {"entry": 0, "subject": SUBJECT, "question": PROMPT, "answer": ANSWER, "proven": True}
    once = [("custodian", "entry 0", "requested"), ("deputy", "entry 0", "approved")]
    shown = (f"uid {os.getuid()}", "entry 0", "shown")
    assert site.logged() == [*once, shown]
    assert isinstance(site.show().exception, UsageError)  # never overwritten
    assert site.show("again").exit_code == 0
    assert site.logged() == [*once, shown, shown]


def test_a_text_that_is_kept_apart_is_shown_to_two_persons_and_to_nobody_unseen(site: Site) -> None:
    step = install_step(step="start", detail=LONG, actor="uid 0", success=False)
    with SyncAuditClient(site.paths.socket(AUDIT)) as audit:
        index = audit.append(step, id=OPERATOR.id("step")).index
    site.request(entry=index)
    with pytest.raises(RevealError, match="asked for it"):
        site.approve("custodian")
    assert isinstance(site.show().exception, UsageError)
    assert not (site.desk / "said").exists()
    assert site.logged() == []
    site.approve()
    assert site.show().exit_code == 0
    (told,) = json.loads((site.desk / "said").read_text())["apart"]
    assert (told["at"], told["text"]) == ("/status_detail", LONG)
    assert [what for _, _, what in site.logged()] == ["requested", "approved", "shown"]
    (file,) = site.paths.audit_log.glob("apart/??/*")
    file.write_bytes(b"something else")
    assert isinstance(site.show("again").exception, ApartError)
    assert not (site.desk / "again").exists()


def _refused(site: Site, kind: type[SovereignError] = RevealError) -> str:
    done = site.show()
    assert isinstance(done.exception, kind), done.exception
    assert not (site.desk / "said").exists()
    assert site.logged() == []
    return done.exception.cause


def _put(site: Site, request: bytes, approval: bytes) -> None:
    (site.desk / "request").write_bytes(request)
    (site.desk / "approval").write_bytes(approval)


def test_one_person_is_not_two(site: Site) -> None:
    site.request("deputy")
    with pytest.raises(RevealError, match="asked for it"):
        site.approve("deputy")
    request = asked(site, "deputy")
    _put(site, request, agreed(request, "deputy"))
    assert "no second person" in _refused(site)


def test_one_key_under_two_names_is_one_person(site: Site) -> None:
    """The operator enrols the custodian's key a second time, under the deputy's name."""
    site.request()
    request = asked(site)
    public = json.loads((site.desk / "custodian.pub").read_bytes()) | {"name": "deputy"}
    (site.paths.policies / "auditors/deputy.pub").write_text(json.dumps(public))
    _put(site, request, agreed(request, "custodian", by="deputy"))
    assert "not by custodian" in _refused(site)
    halves = json.loads((site.desk / "deputy.pub").read_bytes())
    mixed = halves | {"keys": halves["keys"] | {"ed25519": public["keys"]["ed25519"]}}
    (site.paths.policies / "auditors/deputy.pub").write_text(json.dumps(mixed))
    _put(site, request, agreed(request))
    _refused(site)


CHANGES: dict[str, Callable[[Site], tuple[bytes, bytes]]] = {
    "no approval": lambda site: (asked(site), b""),
    "the request for an approval": lambda site: (asked(site), asked(site, "deputy")),
    "an approval of another request": lambda site: (asked(site, entry=1), agreed(asked(site))),
    "another reason": lambda site: (asked(site, reason="curiosity, after all"), agreed(asked(site))),
    "no reason": lambda site: _both(asked(site, reason="")),
    "a stranger's request": lambda site: _both(asked(site, "stranger")),
    "a stranger's approval": lambda site: (asked(site), agreed(asked(site), "stranger")),
    "in another's name": lambda site: (asked(site), agreed(asked(site), "custodian", by="deputy")),
    "an approval that ended": lambda site: (asked(site), agreed(asked(site), expires="2026-01-02T00:00:00Z")),
    "an approval for ever": lambda site: (asked(site), agreed(asked(site), expires="2096-01-02T00:00:00Z")),
    "a request from tomorrow": lambda site: _both(
        asked(site, issued="2095-01-01T00:00:00Z", expires="2095-01-02T00:00:00Z")
    ),
    "no end": lambda site: _both(asked(site, expires=None)),
    "another log": lambda site: _both(asked(site, origin="sovereign/elsewhere")),
    "another entry's hash": lambda site: _both(asked(site, leaf=leaf_hash(b"x").hex())),
    "no entry": lambda site: _both(asked(site, entry=True)),
    "a later version": lambda site: _both(asked(site, schema=2)),
}


def _both(request: bytes) -> tuple[bytes, bytes]:
    return request, agreed(request)


@pytest.mark.parametrize("change", CHANGES)
def test_nothing_less_than_two_whole_statements_shows_anything(site: Site, change: str) -> None:
    site.request()
    _put(site, *CHANGES[change](site))
    _refused(site)


def test_a_statement_with_half_a_signature_is_none(site: Site) -> None:
    site.request()
    site.approve()
    path = site.desk / "approval"
    envelope = json.loads(path.read_bytes())
    for half in range(2):
        path.write_text(json.dumps(envelope | {"signatures": [envelope["signatures"][half]]}))
        _refused(site)


def test_without_the_log_nothing_is_shown(site: Site) -> None:
    site.request()
    site.approve()
    site.paths.socket(AUDIT).unlink()
    assert isinstance(site.show().exception, UnavailableError)
    assert not (site.desk / "said").exists()


def test_an_entry_that_is_no_request_or_whose_content_is_not_held_shows_nothing(site: Site) -> None:
    with pytest.raises(UsageError, match="no request"):
        site.request(entry=2)
    site.request(entry=1)
    site.approve()
    done = site.show()
    assert isinstance(done.exception, UsageError)
    assert "nothing is held" in done.exception.cause
    assert [what for _, _, what in site.logged()] == ["requested", "approved", "shown"]  # it was looked for


def test_a_request_needs_a_reason(site: Site) -> None:
    with pytest.raises(RevealError, match="characters"):
        site.request(reason="why")
    assert not (site.desk / "request").exists()
