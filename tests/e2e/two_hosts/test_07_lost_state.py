"""The host that held the state is lost for good: its site comes back from the backup on the other one.

Then a new host takes the lost one's place, so that what is installed is taken off two hosts, as ever.
"""

from __future__ import annotations

import json
import time
from typing import TYPE_CHECKING, Any

import pytest
import yaml

from tests.e2e.two_hosts.administrator import NAME
from tests.e2e.two_hosts.kubernetes import Kubernetes, until
from tests.e2e.two_hosts.media import Media
from tests.e2e.two_hosts.records import log_copy, root_of

if TYPE_CHECKING:
    from tests.e2e.two_hosts.administrator import Desk

pytestmark = pytest.mark.cluster
ANALYST = ("analyst", "a-Passphrase-of-the-analyst-1")
QUESTION = "Which city is the capital of Spain?"
LEFT = "10.77.0.11"
MOST_SECONDS = 600.0


@pytest.fixture(scope="module")
def lost(desk: Desk) -> dict[str, Any]:
    """A backup, then no power on the state's host; the site file names the one that is left, which runs all now."""
    desk.visit("people", *ANALYST, "analysts")
    assert desk.visit("ask", *ANALYST, QUESTION)["text"].strip()
    media = Media(desk)
    media.keep_the_site_s_key()
    told = media.back_up("before-the-loss")
    desk.lab.cut_power("node2")
    describe(desk, "node1")
    return told


def describe(desk: Desk, *hosts: str) -> None:
    """A site file with these hosts, whose state is the first one's, and a name that leads there."""
    site = desk.described()
    site["cluster"]["hosts"] = [host for host in site["cluster"]["hosts"] if host["name"] in hosts]
    site["cluster"]["control_plane_runs_pods"] = True
    site["assistant"]["state_host"] = hosts[0]
    (desk.folder / "site.yaml").write_text(yaml.safe_dump(site))
    (desk.folder / "hosts").write_text(f"127.0.0.1 localhost\n{LEFT} {NAME}\n")


def test_from_the_backup_everything_is_back_on_the_other_host_within_ten_minutes(
    desk: Desk, lost: dict[str, Any]
) -> None:
    begun, media = time.monotonic(), Media(desk)
    done = json.loads(media.with_phrase(*media.restoring("before-the-loss")))
    found = desk.visit("ask", *ANALYST, QUESTION)
    taken = time.monotonic() - begun
    assert done["changed"]["node1"] > 0
    assert found["text"].strip()
    assert found["receipt"]["log"]["answer_index"] > lost["log"]["size"]
    assert root_of(log_copy(desk, "on-the-other", "node1"), desk, lost["log"]["size"]) == lost["log"]["root"]
    assert taken < MOST_SECONDS, taken


def test_a_new_host_takes_the_place_of_the_lost_one(desk: Desk, lost: dict[str, Any]) -> None:
    assert lost
    desk.lab.replace("node2")
    describe(desk, "node1", "node2")
    assert desk.install()["changed"]["node2"] > 0
    until(Kubernetes(desk.lab).ready, "both hosts and everything on them was ready")
    assert json.loads(desk.sovereign("status", "--output", "json"))["ok"]
    assert desk.visit("ask", *ANALYST, QUESTION)["text"].strip()
