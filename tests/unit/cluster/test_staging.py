"""A release of the store becomes what the roles take, byte by byte the signed one, and writes nowhere else on hosts."""

from __future__ import annotations

import gzip
import hashlib
import io
import json
import tarfile
from typing import TYPE_CHECKING, Any

import pytest

from airgap_bundle.errors import DigestMismatchError
from airgap_bundle.store import Store
from appliance.cluster.staging import NoClusterError, stage_release
from appliance.errors import RefusedError
from tests.unit.cluster.releases import IMAGES, PROGRAMS, store_of

if TYPE_CHECKING:
    from pathlib import Path

    from appliance.cluster.parts import ReleaseParts
    from tests.bundles import Site


def staged(site: Site, folder: Path) -> ReleaseParts:
    return stage_release(Store(site.store), "1.0.0", folder)


def test_programs_are_the_store_s_blobs_with_their_places(tmp_path: Path) -> None:
    parts = staged(store_of(tmp_path), tmp_path / "staged")
    assert parts.kubernetes_version == "v1.36.3"
    assert {p.destination: p.path.read_bytes() for p in parts.programs} == {
        "/usr/local/bin/kube": b"kube's bytes",
        "/opt/cni/bin/loopback": b"loopback's",
    }
    assert all(hashlib.sha256(p.path.read_bytes()).hexdigest() == p.sha256 for p in parts.programs)
    assert parts.links == {"/usr/local/bin/kubelet": "kube"}


def test_every_image_is_in_the_layout_under_the_name_that_it_goes_by(tmp_path: Path) -> None:
    parts = staged(store_of(tmp_path), tmp_path / "staged")
    index = json.loads((parts.layout / "index.json").read_text())
    named = {m["annotations"]["io.containerd.image.name"]: m["digest"] for m in index["manifests"]}
    assert set(named) == {f"sovereign.internal/{name}:{tag}" for name, tag in IMAGES.items()}
    for digest in named.values():
        blob = parts.layout / "blobs/sha256" / digest.removeprefix("sha256:")
        assert f"sha256:{hashlib.sha256(blob.read_bytes()).hexdigest()}" == digest
    assert parts.sandbox_image == "sovereign.internal/pause:v1.0.0"
    assert parts.network_agent_image == f"sovereign.internal/cilium@{named['sovereign.internal/cilium:v1.20.2']}"
    kubernetes = parts.kubernetes_images
    assert (kubernetes.repository, kubernetes.etcd_tag) == ("sovereign.internal", "v3.7.3")
    assert (kubernetes.dns_repository, kubernetes.dns_tag) == ("sovereign.internal", "v1.15.0")


def test_shared_blobs_are_counted_once(tmp_path: Path) -> None:
    parts = staged(store_of(tmp_path), tmp_path / "staged")
    index = json.loads((parts.layout / "index.json").read_text())
    blobs: dict[str, int] = {}
    for listed in index["manifests"]:
        manifest = json.loads((parts.layout / "blobs/sha256" / listed["digest"].removeprefix("sha256:")).read_text())
        blobs |= {b["digest"]: b["size"] for b in (listed, manifest["config"], *manifest["layers"])}
    assert parts.image_bytes == sum(blobs.values())


def test_the_chart_is_packed_for_helm_and_equal_at_every_staging(tmp_path: Path) -> None:
    site = store_of(tmp_path)
    first = staged(site, tmp_path / "staged").network_chart.read_bytes()
    with tarfile.open(fileobj=io.BytesIO(gzip.decompress(first))) as archive:
        assert archive.getnames() == ["cilium/Chart.yaml"]
    assert staged(site, tmp_path / "staged").network_chart.read_bytes() == first


@pytest.mark.parametrize(
    "path",
    [
        "/usr/local/bin/../../../etc/passwd",
        "/etc/kubernetes/manifests/x",
        "/usr/local/bin/.x",
        "kube",
        "/usr//local/bin/x",
    ],
)
def test_a_program_that_would_lie_elsewhere_is_refused(path: str, tmp_path: Path) -> None:
    files = {**PROGRAMS["files"], "kube": {"path": path, "mode": "0755"}}
    site = store_of(tmp_path, files=files, links={})
    with pytest.raises(RefusedError, match="would write"):
        staged(site, tmp_path / "staged")


@pytest.mark.parametrize(
    "change",
    [
        {"links": {"/usr/local/bin/../kubelet": "kube"}},
        {"links": {"/usr/local/bin/kubelet": "../../bin/sh"}},
        {"links": {"/usr/local/bin/kubelet": "sh"}},
        {"links": {"/usr/local/bin/kube": "kube"}},
        {"files": {"kube": PROGRAMS["files"]["kube"]}},
        {"files": {**PROGRAMS["files"], "more": {"path": "/usr/local/bin/more", "mode": "0755"}}},
        {"files": {**PROGRAMS["files"], "kube": {"path": "/usr/local/bin/kube", "mode": "4755"}}},
        {"files": {name: {"path": "/usr/local/bin/kube", "mode": "0755"} for name in ("kube", "loopback")}},
    ],
)
def test_a_config_that_says_more_than_the_artifact_has_is_refused(change: dict[str, Any], tmp_path: Path) -> None:
    site = store_of(tmp_path, **change)
    with pytest.raises(RefusedError):
        staged(site, tmp_path / "staged")


def test_a_program_that_was_changed_in_the_store_is_refused(tmp_path: Path) -> None:
    site = store_of(tmp_path)
    kube = next(p for p in staged(site, tmp_path / "staged").programs if p.name == "kube")
    kube.path.chmod(0o644)
    kube.path.write_bytes(b"evil's bytes")
    with pytest.raises(DigestMismatchError):
        staged(site, tmp_path / "staged")


@pytest.mark.parametrize("lacking", sorted(IMAGES))
def test_a_release_without_a_part_of_a_cluster_says_which(lacking: str, tmp_path: Path) -> None:
    site = store_of(tmp_path, {name: tag for name, tag in IMAGES.items() if name != lacking})
    with pytest.raises(NoClusterError, match=lacking):
        staged(site, tmp_path / "staged")


def test_images_of_another_kubernetes_are_no_cluster(tmp_path: Path) -> None:
    site = store_of(tmp_path, IMAGES | {"kube-proxy": "v1.36.2"})
    with pytest.raises(NoClusterError, match=r"1\.36\.3"):
        staged(site, tmp_path / "staged")
