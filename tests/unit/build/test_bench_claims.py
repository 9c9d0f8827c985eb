"""The claim about deltas measures what it says: a change of one line, and nothing else, travels."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from airgap_bundle.build.release import build_release
from airgap_bundle.build.stage import silent
from tests.bench import bundle as bench
from tests.bench.one_line import LINE, one_line_later
from tests.bundles import NOW, sign

if TYPE_CHECKING:
    from pathlib import Path

    import pytest

    from tests.unit.build.synthetic_release import Synthetic


def without_wheelhouse(value: dict) -> None:
    value["artifacts"] = [artifact for artifact in value["artifacts"] if artifact["kind"] != "wheelhouse"]


def test_the_release_one_line_later_differs_in_its_policy_and_what_names_it(
    synthetic: Synthetic, tmp_path: Path
) -> None:
    later = one_line_later(synthetic.release, tmp_path / "later")
    held, new = (
        {
            path.name: path
            for path in (
                build_release(release, tmp_path / name, cache=synthetic.cache, stage=silent).folder / "blobs/sha256"
            ).iterdir()
        }
        for release, name in ((synthetic.release, "first"), (later, "second"))
    )
    added = [new[name].read_bytes() for name in set(new) - set(held)]
    assert f"schema: 1\n{LINE}".encode() in added
    for data in added:
        assert data.startswith(b"{") or data == f"schema: 1\n{LINE}".encode(), "documents only, besides the policy"


def test_the_claim_is_what_a_delta_of_one_line_weighs(
    synthetic: Synthetic, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    synthetic.edit(without_wheelhouse)
    monkeypatch.setattr(bench, "RELEASE", synthetic.release)
    first = build_release(synthetic.release, tmp_path / "first", cache=synthetic.cache, stage=silent).folder
    sign(first, "architect", "builder", "release", now=NOW)
    (claim,) = bench.one_line(first, tmp_path, synthetic.cache)
    written = [path for path in (tmp_path / "site/delta").rglob("*") if path.is_file()]
    assert claim.value == round(sum(path.stat().st_size for path in written) / 1e6, 4)
    assert (claim.name, claim.unit, claim.bound, claim.holds) == (
        "delta of a one-line configuration change, on media, at most",
        "MB",
        1,
        True,
    )
    policies = [path for path in written if path.read_bytes().endswith(LINE.encode())]
    assert len(policies) == 1
    assert json.loads((tmp_path / "site/delta/release.json").read_bytes())["number"] == 2
