"""The checks of a verification are called alike, and come in one order, wherever they are listed."""

from __future__ import annotations

import re
from pathlib import Path

from airgap_bundle import verify
from tests.bundles import NOW, make, trust

ROOT = Path(__file__).parents[3]


def reported(folder: Path) -> list[str]:
    """Names of the checks as a report has them, those of signatures in one word, in the order of the report."""
    names = [check.name for check in verify.verify(make(folder), trust(), now=NOW).checks]
    shortened = [re.sub(r".* sign(atures, .*|ers)$", "signatures", name) for name in names]
    return list(dict.fromkeys(shortened))


def test_the_format_and_the_module_list_the_checks_that_a_report_has(tmp_path: Path) -> None:
    names = reported(tmp_path / "bundle")
    listed = re.findall(r"^\d+\. ``(?:… )?([a-z ]+)``", verify.__doc__ or "", flags=re.MULTILINE)
    section = (ROOT / "airgap_bundle/FORMAT.md").read_text().partition("## 9. ")[2].partition("\n## ")[0]
    assert listed == names
    assert [name for _, name in re.findall(r"(\d+)\. \*([a-z ]+)\*", section)] == listed


def test_the_vectors_tell_other_implementations_every_check(tmp_path: Path) -> None:
    text = " ".join((ROOT / "tests/vectors/README.md").read_text().split())
    told = text.partition("Checks are called ")[2].partition(" Every class")[0]
    assert [name for name in reported(tmp_path / "bundle") if f"`{name}`" not in told] == ["signatures"]
