"""Journey 01: officers bring another model to the running site; its engine is a unit of systemd, started anew."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from demo.release import MODEL, OFFICER
from tests.e2e.one_host.conftest import SITE
from tests.e2e.one_host.operating import answered, call_api, sovereign, status
from tests.e2e.one_host.second_model import DEPUTY

if TYPE_CHECKING:
    from pathlib import Path

    from lab.host import BareHost

pytestmark = [pytest.mark.e2e, pytest.mark.network]


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
    told = sovereign(host, "model", "promote", MODEL, "--reason", "the officers brought it", "--output", "json")[1]
    paused = json.loads(told)["paused"]
    assert paused is None or "MiB are free" in paused, "a second engine takes over where the host has the memory"
    assert not any("second engine" in warning for warning in status(host)["warnings"]), "none is left"
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
    assert report["kinds"]["model_change"] == 5  # and two of the embedding model that came before
