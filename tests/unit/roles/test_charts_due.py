"""Helm is called only for charts that a cluster does not run as they are; one reading of its Secrets says so."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from tests.unit.roles.plugins import load

if TYPE_CHECKING:
    from pathlib import Path

charts = load("filter_plugins/charts.py")


def chart(folder: Path, data: bytes = b"chart", **values: object) -> dict[str, Any]:
    archive = folder / "audit.tgz"
    archive.write_bytes(data)
    return {"name": "audit", "namespace": "sovereign", "archive": str(archive), "values": values}


def listed(version: int, status: str, digest: str | None, name: str = "audit", namespace: str = "sovereign") -> str:
    labels = {"name": name, "version": str(version), "status": status, "owner": "helm"}
    return f"{namespace} {json.dumps(labels | ({charts.LABEL: digest} if digest else {}))}"


def test_a_chart_that_runs_with_these_bytes_and_values_is_left_alone(tmp_path: Path) -> None:
    told = chart(tmp_path, image="a@sha256:1")
    runs = [listed(9, "superseded", "old"), listed(10, "deployed", charts.digest(told))]
    assert charts.charts_due([told], runs) == []
    assert len(charts.digest(told)) <= 63  # what a label holds


@pytest.mark.parametrize(
    "change", [{"data": b"another chart"}, {"image": "a@sha256:2"}], ids=["other archive", "other values"]
)
def test_another_archive_or_other_values_are_brought(tmp_path: Path, change: dict[str, Any]) -> None:
    runs = [listed(1, "deployed", charts.digest(chart(tmp_path, image="a@sha256:1")))]
    told = chart(tmp_path, **{"image": "a@sha256:1", **change})
    (due,) = charts.charts_due([told], runs)
    assert due["digest"] == charts.digest(told)


@pytest.mark.parametrize("status", ["failed", "pending-upgrade", "uninstalling"])
def test_what_was_interrupted_or_failed_is_brought_again_whatever_was_deployed_before(
    tmp_path: Path, status: str
) -> None:
    told = chart(tmp_path)
    same = charts.digest(told)
    runs = [listed(10, status, same), listed(9, "deployed", same)]
    assert [due["name"] for due in charts.charts_due([told], runs)] == ["audit"]


@pytest.mark.parametrize(
    "other", [{"name": "edge"}, {"namespace": "default"}, {"digest": None}], ids=["name", "namespace", "no digest"]
)
def test_another_s_release_says_nothing_of_a_chart(tmp_path: Path, other: dict[str, Any]) -> None:
    told = chart(tmp_path)
    runs = [listed(**{"version": 1, "status": "deployed", "digest": charts.digest(told), **other})]
    assert len(charts.charts_due([told], runs)) == 1
    assert len(charts.charts_due([told], [])) == 1


def test_the_way_back_is_to_what_was_deployed_in_the_order_of_an_installation(tmp_path: Path) -> None:
    told = [chart(tmp_path) | {"name": name} for name in ("audit", "edge", "assistant")]
    runs = [
        listed(8, "superseded", "a"),
        listed(9, "deployed", "b"),
        listed(10, "failed", "c"),
        listed(3, "deployed", "d", "edge"),
    ]
    assert charts.charts_back(told, runs) == [
        {"name": "audit", "namespace": "sovereign", "revision": "9"},
        {"name": "edge", "namespace": "sovereign", "revision": "3"},
    ]


def test_objects_go_back_without_what_the_api_added_to_them() -> None:
    given = {
        "apiVersion": "v1",
        "kind": "Secret",
        "type": "Opaque",
        "data": {"a": "Yg=="},
        "metadata": {"name": "s", "namespace": "n", "labels": {"l": "1"}, "resourceVersion": "7", "uid": "u"},
    }
    again = json.loads(charts.objects_again(json.dumps({"kind": "List", "items": [given]})))
    assert again["items"] == [given | {"metadata": {"name": "s", "namespace": "n", "labels": {"l": "1"}}}]
