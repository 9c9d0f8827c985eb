"""What the charts bring is admitted by a real API server of the release, and what the policies forbid is refused.

Charts are rendered by the release's own Helm. Where the builder's cache has neither (a machine that never built the
cluster's release) the journey on hosts is left to show it (`tests/e2e/two_hosts/test_04_assistant.py`).
"""

from __future__ import annotations

import json
import shutil
import subprocess
import time
from typing import TYPE_CHECKING, Any

import pytest
import yaml

from tests import api_server
from tests.admission import Case, cases, verdict
from tests.unit.cluster.test_workloads import CHARTS, ORDER, made, values

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from tests.api_server import ApiServer

PATIENCE_SECONDS = 60.0
LACKS = "the builder's cache lacks the cluster's programs"
TEMPLATED = {"Deployment", "StatefulSet", "Job"}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("api")


@pytest.fixture(scope="module")
def told(folder: Path) -> dict[str, Mapping[str, Any]]:
    """Values of every chart, as an installation gives them."""
    return values(made(folder / "site"))


@pytest.fixture(scope="module")
def charts(folder: Path, told: Mapping[str, Mapping[str, Any]]) -> dict[str, list[dict[str, Any]]]:
    """Objects of every chart."""
    helm = api_server.program("helm", "helm", folder / "programs")
    if helm is None:
        pytest.skip(LACKS)
    found = {}
    for name in ORDER:
        done = render(helm, folder, name, told[name])
        assert done.returncode == 0, done.stderr
        found[name] = [one for one in yaml.safe_load_all(done.stdout) if one]
    return found


def render(helm: Path, folder: Path, name: str, given: Mapping[str, Any]) -> subprocess.CompletedProcess[str]:
    """The chart as the release packs it, with what charts share among its templates."""
    chart = folder / "charts" / name
    if not chart.exists():
        shutil.copytree(CHARTS / name, chart)
        shutil.copytree(CHARTS / "library", chart / "templates", dirs_exist_ok=True)
    (folder / f"{name}.json").write_text(json.dumps(dict(given)))
    argv = [helm, "template", name, chart, "--namespace=sovereign", f"--values={folder}/{name}.json"]
    return subprocess.run(argv, capture_output=True, text=True, check=False)


@pytest.fixture(scope="module")
def api(folder: Path, charts: Mapping[str, list[dict[str, Any]]], image: str) -> Iterator[ApiServer]:
    """A server with the policies' chart in force."""
    programs = folder / "programs"
    kube = api_server.program("kube", "kube", programs, "kube-apiserver", "kubectl")
    if kube is None or api_server.program("etcd", "etcd", programs) is None:
        pytest.skip(LACKS)
    with api_server.running(programs, folder) as found:
        found.kubectl("apply", "--filename=-", stdin=as_list(charts["policies"]))
        by_tag = next(case for case in cases("bad") if case.name == "by-tag")
        deadline = time.monotonic() + PATIENCE_SECONDS
        while not verdict(found.create, by_tag, image):  # a policy is in force some moments after it was made
            assert time.monotonic() < deadline, "the policy never came in force"
            time.sleep(0.5)
        yield found


@pytest.fixture(scope="module")
def image(told: Mapping[str, Mapping[str, Any]]) -> str:
    """One of the release."""
    return str(told["assistant"]["linkImage"])


def as_list(objects: list[dict[str, Any]]) -> str:
    return json.dumps({"apiVersion": "v1", "kind": "List", "items": objects})


def pods(objects: list[dict[str, Any]]) -> Iterator[dict[str, Any]]:
    """Every pod that comes of these objects, with the volumes that its claims become."""
    for one in objects:
        assert one["kind"] in {*TEMPLATED, "Pod"} or '"containers": [' not in json.dumps(one), one["kind"]
        spec = one["spec"]["template"]["spec"] if one["kind"] in TEMPLATED else one.get("spec")
        if one["kind"] not in {*TEMPLATED, "Pod"}:
            continue
        claimed = [claim["metadata"]["name"] for claim in one["spec"].get("volumeClaimTemplates", ())]
        volumes = [{"name": name, "persistentVolumeClaim": {"claimName": f"{name}-0"}} for name in claimed]
        metadata = {"name": one["metadata"]["name"], "namespace": "sovereign"}
        filled = {**spec, "volumes": [*spec.get("volumes", ()), *volumes]}
        yield {"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": filled}


@pytest.mark.parametrize("case", cases("good"), ids=lambda case: case.name)
def test_what_is_good_is_admitted(case: Case, api: ApiServer, image: str) -> None:
    assert verdict(api.create, case, image) == ""


@pytest.mark.parametrize("case", cases("bad"), ids=lambda case: case.name)
def test_what_is_bad_is_refused_with_its_reason(case: Case, api: ApiServer, image: str) -> None:
    said = verdict(api.create, case, image)
    assert case.refused is not None
    assert case.refused in said
    assert "forbidden" in said


@pytest.mark.parametrize("name", ORDER)
def test_every_object_of_a_chart_is_one_that_the_api_knows(
    name: str, api: ApiServer, charts: Mapping[str, list[dict[str, Any]]]
) -> None:
    known = [one for one in charts[name] if not one["apiVersion"].startswith("cilium.io/")]
    asked = ("apply", "--namespace=sovereign", "--dry-run=server", "--validate=strict", "--filename=-")
    said = api.kubectl(*asked, stdin=as_list(known)).splitlines()
    assert len(said) == len(known) > 0


def test_every_pod_of_every_chart_is_admitted(api: ApiServer, charts: Mapping[str, list[dict[str, Any]]]) -> None:
    found = [pod for objects in charts.values() for pod in pods(objects)]
    assert {pod["metadata"]["name"] for pod in found} == {
        *(name for name in ORDER if name != "policies"),
        *(f"{name}-test" for name in ORDER if name != "policies"),
        "keycloak-realm",
    }
    for pod in found:
        api.create(json.dumps(pod))


def test_a_pod_that_runs_is_given_no_foreign_image_later(api: ApiServer, image: str) -> None:
    """By an update of the pod, and by a container that is put in to look at it."""
    good = next(case for case in cases("good") if case.name == "restricted")
    api.kubectl("create", "--filename=-", stdin=good.filled(image))
    foreign = "sovereign.internal/assistant@sha256:" + 64 * "0"
    look = {
        "name": "look",
        "image": foreign,
        "securityContext": {"allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}},
    }
    own = ("--namespace=sovereign", "patch", "pod", "case", "--dry-run=server")
    changes: list[tuple[tuple[str, ...], dict[str, Any]]] = [
        ((), {"spec": {"containers": [{"name": "main", "image": foreign}]}}),
        (("--subresource=ephemeralcontainers",), {"spec": {"ephemeralContainers": [look]}}),
    ]
    for more, change in changes:
        with pytest.raises(AssertionError, match="not of the verified release"):
            api.kubectl(*own, *more, f"--patch={json.dumps(change)}")
    look["image"] = image
    api.kubectl(*own, *changes[1][0], f"--patch={json.dumps(changes[1][1])}")


@pytest.mark.usefixtures("charts")
@pytest.mark.parametrize("name", [name for name in ORDER if name != "policies"])
def test_a_chart_takes_no_image_by_its_tag(name: str, folder: Path, told: Mapping[str, Mapping[str, Any]]) -> None:
    done = render(folder / "programs/helm", folder, name, {**told[name], "linkImage": "sovereign.internal/assistant:1"})
    assert done.returncode != 0
    assert "linkImage" in done.stderr
