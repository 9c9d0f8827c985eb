"""Preflight: facts against rules, every finding at once, each with a remedy."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from airgap_bundle.keys import save
from appliance.errors import PreflightError, SiteFileError
from appliance.install.preflight.facts import Facts
from appliance.install.preflight.report import EPOCH, judge, waived_by
from appliance.install.preflight.rule import GIB, Needs
from appliance.install.preflight.rules import RULES
from appliance.install.site_files import SiteFiles
from appliance.site.load import load_site
from tests.unit.models.small_release import NOW, host_waiver, signer, waiver

CONFIG = load_site(Path(__file__).parents[3] / "appliance" / "install" / "site.example.yaml")
NEEDS = Needs(CONFIG, bundle_bytes=GIB, earliest=EPOCH)
GOOD = Facts(
    machine="x86_64",
    variant="haswell",
    is_root=True,
    systemd=False,
    disk_free=100 * GIB,
    fsync_ms=0.8,
    memory_total=8 * GIB,
    memory_available=6 * GIB,
    cores=4,
    now=datetime(2027, 1, 1, tzinfo=UTC),
    libc=(2, 36),
    python=Path("/usr/bin/python3.11"),
    python_version=(3, 11),
    python_abi="cpython-311",
    landlock_abi=4,
    seccomp=True,
    user_namespaces=True,
    busy_ports={},
    local_address=True,
    hostname_resolves=True,
    longest_socket=60,
    root_writable=True,
    root_foreign=(),
    root_reachable=True,
    root_in_home=False,
    neighbours={},
    missing_tools=(),
    missing_gpus=(),
    backup_faults=(),
    backup_together=False,
)
BAD: dict[str, dict[str, Any]] = {
    "machine": {"machine": "sparc"},
    "processor speed": {"variant": "sse42"},
    "processor": {"variant": None},
    "gpu": {"missing_gpus": ("0 (gemma3-270m)",)},
    "disk": {"disk_free": GIB},
    "disk latency": {"fsync_ms": 25.0},
    "memory": {"memory_available": GIB},
    "cores": {"cores": 1},
    "clock": {"now": datetime(1970, 1, 1, tzinfo=UTC)},
    "c library": {"libc": (2, 17)},
    "python": {"python_version": (3, 10)},
    "python for services": {"python": None},
    "site root": {"root_writable": False},
    "site root is free": {"root_foreign": ("holiday.jpg",)},
    "site root reachable": {"root_reachable": False},
    "site root and systemd": {"systemd": True, "root_in_home": True},
    "ports": {"busy_ports": {"listen.gateway_port": 8443}},
    "other sites": {"neighbours": {"/srv/other": (8443, 1)}},
    "address": {"local_address": False},
    "hostname": {"hostname_resolves": False},
    "socket paths": {"longest_socket": 200},
    "tools": {"missing_tools": ("useradd",)},
    "backup folders": {"backup_faults": ("/media/disk: no such folder: is the medium mounted?",)},
    "backup media": {"backup_together": True},
    "seccomp": {"seccomp": False},
    "landlock": {"landlock_abi": 0},
    "user namespaces": {"user_namespaces": False},
}


def test_a_good_host_passes_every_check() -> None:
    report = judge(GOOD, NEEDS)
    assert report.ok
    assert {f.status for f in report.findings} == {"pass"}
    report.demand()


def test_every_rule_has_a_host_that_breaks_it() -> None:
    assert [r.name for r in RULES] == list(BAD)


@pytest.mark.parametrize("name", BAD)
def test_a_bad_fact_breaks_its_own_rule_only_and_offers_a_remedy(name: str) -> None:
    findings = [f for f in judge(replace(GOOD, **BAD[name]), NEEDS).findings if f.status != "pass"]
    assert [f.name for f in findings] == [name]
    assert findings[0].remedy


def test_everything_wrong_is_reported_at_once() -> None:
    facts = GOOD
    for change in BAD.values():
        facts = replace(facts, **change)
    with pytest.raises(PreflightError) as caught:
        judge(facts, NEEDS).demand()
    assert caught.value.exit_code == 4
    required = [r.name for r in RULES if r.level == "required"]
    assert caught.value.cause.count("\n") == len(required)
    assert caught.value.hint == "mend them and run it again; nothing was changed"


def test_what_is_only_advised_does_not_stop_an_installation() -> None:
    report = judge(replace(GOOD, cores=1, user_namespaces=False), NEEDS)
    assert report.ok
    assert [f.status for f in report.findings].count("warn") == 2


@pytest.mark.parametrize(("layer", "lack"), [("landlock", {"landlock_abi": 0}), ("seccomp", {"seccomp": False})])
def test_a_layer_of_confinement_is_required_unless_an_officer_waived_it(layer: str, lack: dict[str, Any]) -> None:
    without = replace(GOOD, **lack)
    assert not judge(without, NEEDS).ok
    report = judge(without, replace(NEEDS, waived={layer: "officer until 2027-03-01"}))
    assert report.ok
    assert [(f.name, f.status, f.found) for f in report.findings if f.status != "pass"] == [
        (layer, "waived", "missing; waived by officer until 2027-03-01")
    ]


def test_nothing_but_a_layer_of_confinement_can_be_waived() -> None:
    assert {r.name: r.layer for r in RULES if r.layer is not None} == {"seccomp": "seccomp", "landlock": "landlock"}
    assert not judge(replace(GOOD, disk_free=0), replace(NEEDS, waived={"disk": "officer until 2027-03-01"})).ok


def test_a_waiver_beside_the_site_file_counts_before_anything_is_installed(tmp_path: Path) -> None:
    save(signer("officer"), tmp_path, b"passphrase", cost=2)
    key = (tmp_path / "officer.pub").read_bytes()
    config = CONFIG.model_copy(update={"name": "trial"})
    files = SiteFiles(config, b"", None, {"officer": key}, {"w.json": host_waiver(), "m.json": waiver("a" * 64)}, {})
    assert waived_by(files, NOW) == {"landlock": "officer until 2026-08-29"}
    assert waived_by(replace(files, config=CONFIG), NOW) == {}
    with pytest.raises(SiteFileError, match="deputy"):
        waived_by(replace(files, officers={"deputy": key}), NOW)
    with pytest.raises(SiteFileError, match="unusable"):
        waived_by(replace(files, officers={"officer": b"{}"}), NOW)


def test_without_root_nobody_else_must_reach_the_site() -> None:
    assert judge(replace(GOOD, is_root=False, root_reachable=False), NEEDS).ok


def test_a_larger_bundle_needs_more_disk_and_more_models_more_memory() -> None:
    assert replace(NEEDS, bundle_bytes=10 * GIB).disk > NEEDS.disk
    bigger = CONFIG.model_copy(update={"models": CONFIG.models * 2})
    assert replace(NEEDS, config=bigger).memory > NEEDS.memory
