"""Journey 01: officers bring another model to the running site; its engine is a unit of systemd, stopped and started.

A power cut, an engine that does not start and a damaged record are those of a real machine, not of a double.
"""

from __future__ import annotations

import json
import time
from typing import TYPE_CHECKING

import pytest

from demo.release import MODEL, OFFICER
from tests.e2e.one_host.conftest import SITE, SOVEREIGN
from tests.e2e.one_host.operating import HEAL_SECONDS, answered, call_api, eventually_up, sovereign, status
from tests.e2e.one_host.second_model import DEPUTY

if TYPE_CHECKING:
    from pathlib import Path

    from lab.host import BareHost

pytestmark = [pytest.mark.e2e, pytest.mark.network]
RECORD = f"{SITE}/store/models/1.1.0.json"
DECISIONS = f"{SITE}/serving/{MODEL}.json"
TRIED = ["grep", "-q", '"trial":{', DECISIONS]
REFUSE = f"""#!/bin/sh
sleep 2
! grep -q '"trial":{{' {DECISIONS}
"""
DROP_IN = "[Service]\nExecStartPost=\nExecStartPost=+/run/refuse-trials\n"


def test_officers_bring_another_model_and_every_receipt_names_the_one_that_answered(
    host: BareHost, medium: Path, tmp_path: Path
) -> None:
    first = call_api(host, tmp_path)["receipt"]["model"]["digest"]
    second = (medium / "second-digest").read_text()
    held = ["sh", "-c", f"find {SITE}/store {SITE}/trust -type f -printf '%p %T@ %s\\n' | sort"]
    before = host.run(held).stdout
    sovereign(host, "model", "import", "/media/stick/models", "--dry-run")
    assert host.run(held).stdout == before
    sovereign(host, "model", "import", "/media/stick/models")
    assert call_api(host, tmp_path)["receipt"]["model"]["digest"] == first
    sovereign(host, "model", "promote", MODEL, "--reason", "the officers brought it")
    receipt = answered(host, tmp_path)
    assert (receipt["digest"], receipt["signers"]) == (second, sorted([OFFICER, DEPUTY]))
    rows = json.loads(sovereign(host, "model", "list", "--output", "json")[1])
    assert {(row["digest"], row["state"]) for row in rows if row["name"] == MODEL} == {
        (first, "former"),
        (second, "serving"),
    }
    sovereign(host, "model", "rollback", MODEL, "--reason", "the journey goes on with the first")
    assert answered(host, tmp_path)["digest"] == first
    report = json.loads(sovereign(host, "audit", "report", "--output", "json")[1])
    assert report["kinds"]["model_change"] == 3


def second(medium: Path) -> str:
    """Digest of the weights that the officers brought."""
    return (medium / "second-digest").read_text()


def rows(host: BareHost) -> dict[str, dict[str, object]]:
    """Rows of the list by bundle."""
    found = json.loads(sovereign(host, "model", "list", "--output", "json")[1])
    return {row["bundle"]: row for row in found if row["name"] in {MODEL, ""}}


def engine_unit(host: BareHost) -> str:
    return host.run(["sh", "-c", f"basename /etc/systemd/system/sovereign-*-engine-{MODEL}.service"]).stdout.strip()


def test_a_unit_that_does_not_start_on_a_model_leaves_the_former_serving(
    host: BareHost, medium: Path, tmp_path: Path
) -> None:
    before = answered(host, tmp_path)["digest"]
    unit = engine_unit(host)
    drop_in = f"/run/systemd/system/{unit}.d"
    host.run(["sh", "-c", "cat > /run/refuse-trials && chmod 0755 /run/refuse-trials"], stdin=REFUSE)
    host.run(["sh", "-c", f"mkdir -p {drop_in} && cat > {drop_in}/refuse.conf"], stdin=DROP_IN)
    host.run(["systemctl", "daemon-reload"])
    code, _, error = sovereign(
        host, "model", "promote", MODEL, "--digest", second(medium), "--reason", "it cannot start", check=False
    )
    assert code == 5
    assert f"engine-{MODEL} does not start" in error
    assert host.run(TRIED, check=False).returncode != 0
    assert answered(host, tmp_path)["digest"] == before
    host.run(["sh", "-c", f"rm -r {drop_in} /run/refuse-trials && systemctl daemon-reload"])
    assert host.run(["systemctl", "is-active", unit]).stdout.strip() == "active"


def test_a_power_cut_while_a_model_is_on_trial_leaves_the_former_serving_from_boot_on(
    host: BareHost, medium: Path, tmp_path: Path
) -> None:
    before = answered(host, tmp_path)["digest"]
    command = f"{SOVEREIGN} --site {SITE} model promote {MODEL} --digest {second(medium)} --reason cut-off"
    host.run(["systemd-run", "--unit=cut-off", "sh", "-c", command])
    deadline = time.monotonic() + HEAL_SECONDS
    while host.run(TRIED, check=False).returncode != 0:
        assert time.monotonic() < deadline, host.run(["journalctl", "-u", "cut-off", "--no-pager"]).stdout
        time.sleep(0.02)
    host.cut_power()
    assert '"trial":{' in (host.root / DECISIONS[1:]).read_text()
    host.boot()
    eventually_up(host)
    assert host.run(TRIED, check=False).returncode != 0
    assert answered(host, tmp_path)["digest"] == before
    sovereign(host, "model", "promote", MODEL, "--digest", second(medium), "--reason", "once more")
    assert answered(host, tmp_path)["digest"] == second(medium)
    assert {bundle: row["state"] for bundle, row in rows(host).items()} == {"1.0.0": "former", "1.1.0": "serving"}


def test_a_damaged_record_stops_the_engine_that_needs_it_and_nothing_else(
    host: BareHost, medium: Path, tmp_path: Path
) -> None:
    unit = engine_unit(host)
    host.run(["sh", "-c", f"cp -p {RECORD} /tmp/record && echo '{{' > {RECORD}"])
    host.run(["systemctl", "restart", "--no-block", unit])
    deadline = time.monotonic() + HEAL_SECONDS
    while "cannot be read" not in host.run(["journalctl", "-u", unit, "--no-pager", "-n", "50"]).stdout:
        assert time.monotonic() < deadline
        time.sleep(0.5)
    assert rows(host)["1.1.0"]["state"] == "damaged"
    assert RECORD in str(rows(host)["1.1.0"]["note"])
    others = [service for service in status(host)["services"] if service["name"] in {"database", "audit", "identity"}]
    assert all(service["ready"] for service in others)
    first = next(str(row["digest"]) for bundle, row in rows(host).items() if bundle == "1.0.0")
    sovereign(host, "model", "promote", MODEL, "--digest", first, "--reason", "its record is damaged")
    assert answered(host, tmp_path)["digest"] == first
    host.run(["sh", "-c", f"cp -p /tmp/record {RECORD} && rm /tmp/record"])
    assert rows(host)["1.1.0"]["state"] == "former"
    sovereign(host, "model", "rollback", MODEL, "--reason", "it is restored")
    assert answered(host, tmp_path)["digest"] == second(medium)
    sovereign(host, "model", "rollback", MODEL, "--reason", "the journey goes on with the first")
    assert answered(host, tmp_path)["digest"] == first
    eventually_up(host)
