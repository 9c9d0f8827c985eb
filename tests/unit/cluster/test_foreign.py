"""`status` names pods that run what is not of the release, static ones too, which no admission stands before."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from appliance.cluster.reading import checked
from appliance.cluster.status import cluster_status
from appliance.site.paths import SitePaths
from tests.unit.cluster.readings import NOW, known, pod, reading, readings

if TYPE_CHECKING:
    from pathlib import Path

RELEASED, OTHER = (f"sha256:{letter * 64}" for letter in "ab")


def warnings(folder: Path, *images: str, digests: tuple[str, ...] = (RELEASED,), **changes: Any) -> tuple[str, ...]:
    told = readings()
    static = pod("kube-apiserver-node1", "node1", "10.1.0.1", "node1", "kube-system")
    told["node1"]["cluster"]["pods"].append({**static, "images": [*images], **changes})
    assert "failed" not in checked(told["node1"])
    standing = known()
    named = replace(standing, state=replace(standing.state, digests=digests))
    found = cluster_status(SitePaths(folder), named, told, NOW)
    assert found.ok
    return found.warnings


def test_a_static_pod_of_another_image_is_named_with_host_and_digest(tmp_path: Path) -> None:
    (said,) = warnings(tmp_path, RELEASED, OTHER)
    assert said.startswith(f"kube-system/kube-apiserver-node1 on node1 runs what is not of the release: {OTHER};")


def test_pods_of_the_release_are_not_spoken_of(tmp_path: Path) -> None:
    assert warnings(tmp_path, RELEASED) == ()


def test_on_the_way_to_another_release_images_of_both_are_known(tmp_path: Path) -> None:
    assert warnings(tmp_path, OTHER, digests=(RELEASED, OTHER)) == ()


@pytest.mark.parametrize("changes", [{"namespace": "default"}, {"ended": True}])
def test_what_is_elsewhere_or_has_ended_is_not_the_appliance_s(tmp_path: Path, changes: dict[str, Any]) -> None:
    assert warnings(tmp_path, OTHER, **changes) == ()


def test_without_a_list_of_the_release_nothing_is_claimed(tmp_path: Path) -> None:
    assert warnings(tmp_path, OTHER, digests=()) == ()


@pytest.mark.parametrize("said", ["sha256:a", [1], None])
def test_a_host_that_says_nonsense_of_images_is_not_read(said: object) -> None:
    told = reading("node1")
    told["cluster"]["pods"][0]["images"] = said
    assert "images" in str(checked(told)["failed"])
