"""Journey 01: a group is put under a signed pack, its receipts name it, and nobody answers where it is lost."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from tests.e2e.one_host.conftest import SITE
from tests.e2e.one_host.operating import call_api, sovereign, status
from tests.e2e.one_host.site_packs import NAME

if TYPE_CHECKING:
    from pathlib import Path

    from lab.host import BareHost

pytestmark = [pytest.mark.e2e, pytest.mark.network]
GROUP = ("--group", "clerks")
SHORT = ("--max-tokens", "4", "--output", "json")


def test_a_pack_passes_the_gate_is_in_every_receipt_and_is_gone_back_from(host: BareHost, tmp_path: Path) -> None:
    pack = json.loads(sovereign(host, "pack", "import", f"/media/stick/{NAME}-1.pack", "--output", "json")[1])["pack"]
    assert "pack" not in call_api(host, tmp_path)["receipt"]
    plan = json.loads(sovereign(host, "pack", "use", NAME, *GROUP, "--dry-run", "--output", "json")[1])
    assert (plan["cases"], plan["changed"]) == (22, False)
    found = json.loads(sovereign(host, "pack", "use", NAME, *GROUP, *SHORT)[1])
    assert found["passed"]
    receipt = call_api(host, tmp_path)["receipt"]
    assert receipt["pack"]["digest"] == pack
    assert set(receipt["instructions"]) == {"site", "group"}
    host.run(["mv", f"{SITE}/packs/groups.json", "/tmp/groups.json"])
    assert call_api(host, tmp_path)["status"] == 503
    assert any("people of clerks are not answered" in warning for warning in status(host)["warnings"])
    sovereign(host, "pack", "use", NAME, *GROUP)
    assert call_api(host, tmp_path)["receipt"]["pack"]["digest"] == pack


def test_a_pack_whose_vital_case_fails_is_refused_and_what_was_in_force_stays(host: BareHost, tmp_path: Path) -> None:
    sovereign(host, "pack", "import", f"/media/stick/{NAME}-2.pack")
    code, out, error = sovereign(host, "pack", "use", f"{NAME}@2.0.0", *GROUP, *SHORT, check=False)
    assert (code, json.loads(out)["passed"]) == (3, False)
    assert "does not hold" in error
    assert call_api(host, tmp_path)["receipt"]["pack"]["version"] == "1.0.0"
    sovereign(host, "pack", "back", *GROUP)
    assert "pack" not in call_api(host, tmp_path)["receipt"]
    code, _, error = sovereign(host, "pack", "import", f"/media/stick/{NAME}-1.pack", check=False)
    assert (code, "is below 2" in error) == (3, True)
