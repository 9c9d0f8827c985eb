"""What hosts and pods of a cluster say of themselves is shown by `status` as text: it steers no terminal."""

from __future__ import annotations

from dataclasses import replace
from io import StringIO
from typing import TYPE_CHECKING

import pytest
from rich.console import Console

from appliance.cli.cluster_status import _render
from appliance.cluster.computing import Computing
from appliance.cluster.reading import checked
from appliance.cluster.status import cluster_status
from appliance.site.paths import SitePaths
from tests.unit.cluster.readings import NOW, known, pod, readings

if TYPE_CHECKING:
    from pathlib import Path

RELEASED = f"sha256:{64 * 'a'}"


@pytest.mark.parametrize("said", ["\x1b]0;owned\x07\x1b[2J", "all\r\x9b2Jis well\u202e\u200b", "[/red][link=x]", "[/]"])
def test_a_host_that_was_taken_over_neither_steers_the_terminal_nor_ends_the_command(tmp_path: Path, said: str) -> None:
    told = readings()
    of_cluster = told["node1"]["cluster"]
    of_cluster["nodes"][1]["version"] = said
    foreign = pod(f"pod-{said}", "node2", "10.1.0.2", "other", "kube-system")
    of_cluster["pods"].append({**foreign, "images": [said], "ready": False, "reason": said})
    assert "failed" not in checked(told["node1"])
    standing = known()
    standing = replace(standing, state=replace(standing.state, digests=(RELEASED,)))
    drawn = StringIO()
    _render(cluster_status(SitePaths(tmp_path), standing, told, NOW), Console(file=drawn, highlight=False, width=300))
    shown = drawn.getvalue()
    assert [line for line in shown.splitlines() if not line.isprintable()] == []
    plain = "".join(one if one.isprintable() else "\N{REPLACEMENT CHARACTER}" for one in said)
    assert shown.count(plain) >= 3  # the version, and in the warning pod and image


def test_status_says_with_what_engines_compute_and_nothing_of_one_that_does_not_say(tmp_path: Path) -> None:
    engines = (Computing("engine-small", "haswell", None), Computing("engine-other", None, None))
    status = replace(cluster_status(SitePaths(tmp_path), known(), readings(), NOW), engines=engines)
    drawn = StringIO()
    _render(status, Console(file=drawn, highlight=False, width=300))
    assert "computes engine-small: with the CPU code for haswell\n" in drawn.getvalue()
    assert "engine-other" not in drawn.getvalue()
