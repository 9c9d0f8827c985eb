"""The assistant of two hosts backed up, taken off them, and brought back: the same log, people and conversations.

It goes on from the installation of the stage before, and leaves one behind that is taken off as that one would be.
"""

from __future__ import annotations

import json
import time
from typing import TYPE_CHECKING, Any

import pytest

from appliance.audit.checkpoint import read_vkeys
from appliance.audit.tiles import TileReader
from appliance.audit.verify import verify_log
from tests.e2e.two_hosts.hosts import NODES
from tests.e2e.two_hosts.media import Media
from tests.e2e.two_hosts.records import log_copy, root_of

if TYPE_CHECKING:
    from tests.e2e.two_hosts.administrator import Desk

pytestmark = pytest.mark.cluster
WORD = "a-Passphrase-of-the-clerk-1"
ANALYST = ("analyst", "a-Passphrase-of-the-analyst-1")
QUESTION = "Which city is the capital of France?"
MOST_SECONDS = 600.0


@pytest.fixture(scope="module")
def media(desk: Desk) -> Media:
    return Media(desk)


@pytest.fixture(scope="module")
def backed_up(desk: Desk, media: Media) -> dict[str, Any]:
    """People, a conversation, a backup; then somebody is erased, and only the subject keys are of later."""
    desk.visit("people", *ANALYST, "analysts")
    desk.visit("people", "clerk", WORD, "analysts")
    for who in (ANALYST, ("clerk", WORD)):
        assert desk.visit("ask", *who, QUESTION)["text"].strip()
    media.keep_the_site_s_key()
    told = media.back_up("first")
    subject = desk.visit("erase", "clerk", "")
    media.back_up("second")
    return {**told, "erased": subject}


def test_a_backup_of_the_running_cluster_holds_and_is_in_its_log(
    desk: Desk, media: Media, backed_up: dict[str, Any]
) -> None:
    found = json.loads(media.with_phrase("backup", "verify", *media.of("first"), "--output", "json"))
    assert (found["verified"], found["opened"]) == (True, True)
    copied = log_copy(desk, "backed-up")
    report = verify_log(copied, vkeys=read_vkeys(desk.site / "policies/audit-vkeys"))
    tiles = TileReader(copied, report.head.size - report.journaled)
    entries = [tiles.entry(at) for at in range(found["log"]["size"], tiles.size)]
    assert any(backed_up["digest"].encode() in entry for entry in entries)
    assert not [w for w in json.loads(desk.sovereign("status", "--output", "json"))["warnings"] if "backup" in w]


def test_hosts_that_hold_the_state_are_refused(media: Media, backed_up: dict[str, Any]) -> None:
    assert backed_up["site"] == "lab"
    with pytest.raises(AssertionError, match=r"holds a site.s state"):
        media.with_phrase(*media.restoring("first"), "--dry-run")


def test_from_the_backup_everything_is_back_within_ten_minutes_and_the_erased_stay_erased(
    desk: Desk, media: Media, backed_up: dict[str, Any]
) -> None:
    desk.sovereign("uninstall", "--yes", "--discard-log")
    begun = time.monotonic()
    done = json.loads(media.with_phrase(*media.restoring("first")))
    assert set(done["changed"]) == set(NODES)
    found = desk.visit("ask", *ANALYST, QUESTION)
    taken = time.monotonic() - begun
    assert found["text"].strip()
    assert found["receipt"]["log"]["answer_index"] > backed_up["log"]["size"]
    assert len(desk.visit("talks", *ANALYST)) >= 2
    with pytest.raises(AssertionError, match="sign-in of clerk"):
        desk.visit("ask", "clerk", WORD, QUESTION)
    copied = log_copy(desk, "restored")
    assert root_of(copied, desk, backed_up["log"]["size"]) == backed_up["log"]["root"]
    assert taken < MOST_SECONDS, taken


def test_a_second_run_of_the_restored_site_changes_nothing(desk: Desk) -> None:
    assert desk.install()["changed"] == dict.fromkeys(NODES, 0)
    assert json.loads(desk.sovereign("status", "--output", "json"))["ok"]
