"""`sovereign status` names what is rolled out, as the gateway tells it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from appliance.install import status_warnings
from appliance.install.status_warnings import pack_warnings
from appliance.site.paths import SitePaths
from tests import packs
from tests.gateway.doubles import site

if TYPE_CHECKING:
    from pathlib import Path

    import pytest


def test_each_rollout_that_runs_is_named_with_its_share(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    told = {
        "analysts": {"pack": "none", "refused": None, "rollout": {"kind": "brief", "percent": 50}},
        "clerks": {"pack": "none", "refused": None},
    }
    monkeypatch.setattr(status_warnings, "fetch_json", lambda _: told)
    found = pack_warnings(site(), SitePaths(tmp_path), packs.soon())
    assert "a brief is rolled out to 50 percent of analysts: `sovereign learn rollout status`" in found
    assert not [one for one in found if "clerks" in one]
