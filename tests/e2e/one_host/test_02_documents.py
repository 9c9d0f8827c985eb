"""Journey 01: two documents for two groups; answers rest on what a group may see, and on nothing once it is deleted.

A brief of the night is told once somebody accepts it, and until it is struck.
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import pytest

from tests.e2e.one_host.conftest import SITE
from tests.e2e.one_host.operating import sovereign, status

if TYPE_CHECKING:
    from pathlib import Path

    from lab.host import BareHost

pytestmark = [pytest.mark.e2e, pytest.mark.network]
PARKING = "Visitors may park in bay seven of the yard. A visit lasts at most ninety minutes."
SAFE = "The safe in the cellar opens at nine with the code 4711."
ASKED = ("How long may visitors park in bay seven?", "Which code opens the safe in the cellar?")


def memory(host: BareHost) -> dict[str, Any]:
    """`sovereign memory status` as data."""
    return dict(json.loads(sovereign(host, "memory", "status", "--output", "json")[1]))


def spared(host: BareHost) -> int:
    """Tokens that all tiers of all models together say they spared answers."""
    engines = memory(host)["engines"]
    return sum(row["tokens_saved"] or 0 for engine in engines for row in engine["rows"])


def asked(host: BareHost, folder: Path, *questions: str) -> list[dict[str, Any]]:
    """What the program of the clerks is answered."""
    ca, secret = folder / "ca.pem", folder / "secret"
    ca.write_text(host.run(["cat", f"{SITE}/tls/ca.pem"]).stdout)
    host.run(["rm", "-f", "/tmp/batch.secret"])
    sovereign(host, "client", "secret", "batch", "--out", "/tmp/batch.secret")
    secret.write_text(host.run(["cat", "/tmp/batch.secret"]).stdout)
    program = [sys.executable, "-m", "tests.e2e.one_host.documents_client", str(ca), "batch", *questions]
    done = subprocess.run(
        host.inside(program, network_only=True), input=secret.read_text(), capture_output=True, text=True, check=True
    )
    return list(json.loads(done.stdout))


def test_answers_rest_on_documents_of_ones_own_groups_and_on_none_that_were_deleted(
    host: BareHost, tmp_path: Path
) -> None:
    assert asked(host, tmp_path, ASKED[0]) == [{"refused": "no_documents"}]
    host.run(["sh", "-c", f"printf '%s' '{PARKING}' > /tmp/parking.txt; printf '%s' '{SAFE}' > /tmp/safe.txt"])
    imported = [("/tmp/parking.txt", "clerks"), ("/tmp/safe.txt", "analysts")]
    rows = [
        json.loads(sovereign(host, "document", "import", path, "--group", group, "--output", "json")[1])[0]
        for path, group in imported
    ]
    assert [row["outcome"] for row in rows] == ["new", "new"]

    mine, theirs = asked(host, tmp_path, *ASKED)
    (passage,) = mine["citations"]["passages"]
    assert (mine["citations"]["outcome"], passage["document"], passage["text"]) == ("answered", rows[0]["id"], PARKING)
    assert all(  # of the claims there are: what a small model says in so few words is its mood
        0 <= source["first"] < source["last"] <= len(PARKING)
        for claim in mine["citations"]["claims"]
        for source in claim["citations"]
    )
    assert (theirs["citations"]["outcome"], theirs["citations"]["passages"]) == ("abstained", [])
    assert theirs["receipt"]["usage"]["completion_tokens"] == 0
    assert not re.search(r"\b4711\b", json.dumps([mine, theirs]))  # digests may have these digits, too

    before, used = spared(host), memory(host)["library"]["passages_used"]
    again = asked(host, tmp_path, ASKED[0], ASKED[0])
    found = memory(host)
    assert spared(host) - before == sum(one["receipt"]["usage"]["cached_tokens"] for one in again) > 0
    assert found["library"]["passages_used"] - used == 2
    assert {(row["tier"], row["count"]) for row in found["library"]["rows"]} == {("passages", 2), ("documents", 2)}
    chat = next(engine for engine in found["engines"] if engine["rows"])
    assert (found["ok"], chat["state"]) == (True, "running")
    assert chat["joules_per_token"] > 0
    assert not any(group in json.dumps(found) for group in ("clerks", "analysts"))

    sovereign(host, "document", "delete", rows[0]["id"], "--yes")
    assert asked(host, tmp_path, ASKED[0]) == [{"refused": "no_documents"}]
    listed = json.loads(sovereign(host, "document", "list", "--output", "json")[1])
    assert [row["id"] for row in listed] == [rows[1]["id"]]
    sovereign(host, "document", "delete", rows[1]["id"], "--yes")


def test_systemd_reads_the_declared_folder_and_status_tells_when_it_could_not(host: BareHost) -> None:
    timer = host.run(
        ["sh", "-c", "systemctl list-timers --all --no-legend | grep -o '[^ ]*-documents.timer'"]
    ).stdout.strip()
    unit = timer.replace(".timer", ".service")
    assert host.run(["systemctl", "start", unit], check=False).returncode != 0
    assert any("in vain: /srv/house-rules: no such folder" in line for line in status(host)["warnings"])
    host.run(["sh", "-c", f"mkdir /srv/house-rules && printf '%s' '{PARKING}' > /srv/house-rules/parking.txt"])
    host.run(["systemctl", "start", unit])
    assert not any("documents.folders" in line for line in status(host)["warnings"])
    (row,) = json.loads(sovereign(host, "document", "list", "--output", "json")[1])
    assert (row["origin"], row["groups"]) == ("/srv/house-rules/parking.txt", ["clerks"])


def test_a_brief_of_the_night_is_told_once_somebody_accepts_it_and_the_receipt_names_it_until_it_is_struck(
    host: BareHost, tmp_path: Path
) -> None:
    """By the unit that the timer starts; the folder's one document is the clerks'."""
    timer = host.run(["sh", "-c", "systemctl list-timers --all --no-legend | grep -o '[^ ]*-briefs.timer'"]).stdout
    host.run(["systemctl", "start", timer.strip().replace(".timer", ".service")])
    assert any("briefs of clerks wait" in line for line in status(host)["warnings"])
    (run,) = json.loads(sovereign(host, "memory", "brief", "list", "--output", "json")[1])
    assert (run["group"], run["state"]) == ("clerks", "compiled")
    assert "brief" not in asked(host, tmp_path, ASKED[0])[0]["receipt"]["instructions"]

    sovereign(host, "memory", "brief", "accept", run["id"])
    shown = json.loads(sovereign(host, "memory", "brief", "show", "clerks", "--output", "json")[1])
    assert [line["text"] for line in shown["lines"]] == PARKING.replace(". ", ".|").split("|")
    assert asked(host, tmp_path, ASKED[0])[0]["receipt"]["instructions"]["brief"] == shown["digest"]

    sovereign(host, "memory", "brief", "strike", "clerks", "1")
    left = json.loads(sovereign(host, "memory", "brief", "show", "clerks", "--output", "json")[1])
    assert [line["text"] for line in left["lines"]] == ["A visit lasts at most ninety minutes."]
    assert asked(host, tmp_path, ASKED[0])[0]["receipt"]["instructions"]["brief"] == left["digest"] != shown["digest"]
    sovereign(host, "memory", "brief", "back", "clerks")
    assert "brief" not in asked(host, tmp_path, ASKED[0])[0]["receipt"]["instructions"]
