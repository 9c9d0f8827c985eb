"""`make reproducible` derives everything twice and says so in one JSON object."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from airgap_bundle.build.release import build_release
from airgap_bundle.build.reproducible import main, prove
from airgap_bundle.build.stage import silent

if TYPE_CHECKING:
    from pathlib import Path

    import pytest

    from tests.unit.build.synthetic_release import Synthetic


def test_a_reproducible_release_is_claimed_with_its_digest(synthetic: Synthetic, tmp_path: Path) -> None:
    (claim,) = prove(synthetic.release, synthetic.cache, silent)
    built = build_release(synthetic.release, tmp_path / "bundle", cache=synthetic.cache, stage=silent)
    assert claim == {"name": "index.json is reproducible", "value": built.index, "holds": True}


def test_the_last_line_is_json_and_a_failure_has_a_hint(
    synthetic: Synthetic, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("SOVEREIGN_CACHE", str(synthetic.cache.root))
    assert main(["--release", str(synthetic.release)]) == 0
    result = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert result["rounds"] == 2
    assert all(claim["holds"] for claim in result["claims"])
    assert set(result["versions"]) >= {"compiler", "linker", "cmake"}
    (synthetic.release.with_name("release.lock")).unlink()
    assert main(["--release", str(synthetic.release)]) == 2
    assert "hint:" in capsys.readouterr().err
