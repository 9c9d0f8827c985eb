"""Journey 01: the next release comes as a delta; the site goes to it, answers, and goes back, the same night."""

from __future__ import annotations

import json
import shutil
from typing import TYPE_CHECKING

import pytest

from demo.release import MODEL
from demo.workspace import REPOSITORY, Workspace
from demo.workspace import sovereign as builder
from tests.e2e.one_host import second_release
from tests.e2e.one_host.conftest import SITE
from tests.e2e.one_host.operating import answered, eventually_up, sovereign, status

if TYPE_CHECKING:
    from pathlib import Path

    from lab.host import BareHost

pytestmark = [pytest.mark.e2e, pytest.mark.network]
STICK = "/media/stick"


def size_of(folder: Path) -> int:
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())


@pytest.fixture(scope="module")
def delta(host: BareHost, medium: Path) -> str:
    """What the builder makes of the site's inventory: where it lies on the host."""
    folder = medium / second_release.FOLDER
    shutil.rmtree(folder, ignore_errors=True)
    lock = medium / "release.lock"  # where this machine compiles otherwise than the project's lock says
    bundle = second_release.make(Workspace(medium), lock if lock.exists() else REPOSITORY / "sources" / "release.lock")
    host.run(["rm", "-f", "/var/tmp/site.pub", "/var/tmp/site.inventory"])
    sovereign(host, "return", "key", "--out", "/var/tmp/site.pub")
    sovereign(host, "inventory", "export", "--out", "/var/tmp/site.inventory", "--yes")
    for name in ("site.pub", "site.inventory"):
        shutil.copyfile(host.root / "var" / "tmp" / name, folder / name)
    host.run(["rm", "/var/tmp/site.pub", "/var/tmp/site.inventory"])
    known = ("--inventory", folder / "site.inventory", "--site-key", folder / "site.pub")
    builder("bundle", "delta", bundle, *known, "--out", folder / "delta")
    assert size_of(folder / "delta") < size_of(bundle) / 50
    shutil.rmtree(bundle)
    return f"{STICK}/{second_release.FOLDER}/delta"


def release(host: BareHost) -> str:
    return str(status(host)["release"]["version"])


def test_what_an_upgrade_changes_is_shown_and_nothing_is_changed(host: BareHost, delta: str) -> None:
    held = ["sh", "-c", f"find {SITE}/store {SITE}/trust {SITE}/releases -type f -printf '%p %T@ %s\\n' | sort"]
    before = host.run(held).stdout
    found = json.loads(sovereign(host, "upgrade", delta, "--dry-run", "--output", "json")[1])
    assert (found["ok"], found["upgrade"]["after"]) == (True, second_release.VERSION)
    assert {change["name"] for change in found["upgrade"]["changes"]} == {"policy", "runtime"}
    assert found["upgrade"]["rollback_impossible"] is None
    assert host.run(held).stdout == before


def test_the_site_goes_to_the_next_release_answers_and_goes_back(host: BareHost, delta: str, tmp_path: Path) -> None:
    digest = answered(host, tmp_path)["digest"]
    sovereign(host, "upgrade", delta, "--yes")
    eventually_up(host)
    assert release(host) == second_release.VERSION
    assert answered(host, tmp_path)["digest"] == digest
    code, _, error = sovereign(host, "upgrade", f"{STICK}/bundle", "--yes", check=False)
    assert (code, "roots end at version 1" in error) == (3, True), error  # older than the one officers came with
    sovereign(host, "rollback")
    eventually_up(host)
    assert release(host) == "1.0.0"
    assert answered(host, tmp_path)["digest"] == digest
    assert MODEL in json.dumps(status(host)["confinement"])


def test_the_log_has_both_ways_and_verifies(host: BareHost) -> None:
    sovereign(host, "audit", "verify")
