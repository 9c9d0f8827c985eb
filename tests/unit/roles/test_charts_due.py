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


def kept(charts_of: list[dict[str, Any]], runs: list[str], way: str = "w1", listed: str = '{"items": []}') -> str:
    return str(charts.former_kept(listed, charts_of, runs, way))


def test_what_is_kept_is_what_was_deployed_in_the_order_of_an_installation(tmp_path: Path) -> None:
    told = [chart(tmp_path) | {"name": name} for name in ("audit", "edge", "assistant")]
    runs = [
        listed(8, "superseded", "a"),
        listed(9, "deployed", "b"),
        listed(10, "failed", "c"),
        listed(3, "deployed", "d", "edge"),
    ]
    found = charts.former_of(kept(told, runs), "w1")
    assert found["charts"] == [
        {"name": "audit", "namespace": "sovereign", "revision": "9", "digest": "b"},
        {"name": "edge", "namespace": "sovereign", "revision": "3", "digest": "d"},
    ]


@pytest.mark.parametrize("way", ["w2", ""])
def test_what_is_kept_of_another_way_is_nothing_of_this_one(way: str, tmp_path: Path) -> None:
    assert charts.former_of(kept([chart(tmp_path)], [listed(1, "deployed", "a")]), way) == {}
    assert charts.former_of("", way) == {}


def test_a_third_run_goes_back_to_the_first_release_though_the_second_run_deployed_the_newer_one(
    tmp_path: Path,
) -> None:
    """Helm's last word is the newer release; what is kept from the beginning is not asked of Helm."""
    former = charts.former_of(kept([chart(tmp_path)], [listed(1, "deployed", "old")]), "w1")["charts"]
    runs = [listed(1, "superseded", "old"), listed(2, "deployed", "new"), listed(3, "failed", "newer")]
    assert charts.charts_back(former, runs) == [{"name": "audit", "namespace": "sovereign", "revision": "1"}]


def test_history_that_forgot_the_revision_has_the_same_again_from_a_way_back(tmp_path: Path) -> None:
    former = charts.former_of(kept([chart(tmp_path)], [listed(1, "deployed", "old")]), "w1")["charts"]
    runs = [listed(11, "superseded", "old"), listed(12, "deployed", "new"), listed(13, "failed", "old")]
    assert [each["revision"] for each in charts.charts_back(former, runs)] == ["11"]


def test_a_chart_that_runs_as_it_did_is_left_alone(tmp_path: Path) -> None:
    former = charts.former_of(kept([chart(tmp_path)], [listed(1, "deployed", "old")]), "w1")["charts"]
    assert charts.charts_back(former, [listed(1, "superseded", "old"), listed(2, "deployed", "old")]) == []
    assert charts.charts_back(former, [listed(1, "deployed", "old"), listed(2, "failed", "new")]) != []


def test_a_chart_without_a_digest_goes_back_to_its_revision_or_nowhere(tmp_path: Path) -> None:
    former = charts.former_of(kept([chart(tmp_path)], [listed(4, "deployed", None)]), "w1")["charts"]
    assert [
        c["revision"] for c in charts.charts_back(former, [listed(4, "superseded", None), listed(5, "failed", "b")])
    ] == ["4"]
    assert charts.charts_back(former, [listed(5, "failed", "b")]) == []


def test_objects_go_back_without_what_the_api_added_to_them() -> None:
    given = {
        "apiVersion": "v1",
        "kind": "Secret",
        "type": "Opaque",
        "data": {"a": "Yg=="},
        "metadata": {"name": "s", "namespace": "n", "labels": {"l": "1"}, "resourceVersion": "7", "uid": "u"},
    }
    listing = json.dumps({"kind": "List", "items": [given]})
    again = json.loads(charts.former_of(kept([], [], listed=listing), "w1")["objects"])
    assert again["items"] == [given | {"metadata": {"name": "s", "namespace": "n", "labels": {"l": "1"}}}]
