"""Only what a host lacks is sent to it."""

from __future__ import annotations

import hashlib
import json
from typing import TYPE_CHECKING, Any

import pytest

from tests.unit.roles.plugins import load
from tests.unit.roles.standings import look

if TYPE_CHECKING:
    from pathlib import Path

release = load("filter_plugins/release.py")
MANIFEST = "application/vnd.oci.image.manifest.v1+json"


def put(layout: Path, data: bytes) -> str:
    digest = hashlib.sha256(data).hexdigest()
    (layout / "blobs/sha256").mkdir(parents=True, exist_ok=True)
    (layout / "blobs/sha256" / digest).write_bytes(data)
    return digest


def image(layout: Path, *layers: bytes) -> dict[str, Any]:
    """Put an image into the layout; its descriptor."""

    def descriptor(data: bytes, kind: str) -> dict[str, Any]:
        return {"mediaType": kind, "digest": f"sha256:{put(layout, data)}", "size": len(data)}

    config = descriptor(b"{}", "application/vnd.oci.image.config.v1+json")
    parts = [descriptor(layer, "application/vnd.oci.image.layer.v1.tar") for layer in layers]
    return descriptor(json.dumps({"config": config, "layers": parts}).encode(), MANIFEST)


def placed(**places: str) -> list[dict[str, str]]:
    return [{"name": name, "destination": path} for name, path in places.items()]


def test_programs_and_their_further_names_have_their_places() -> None:
    found = release.program_places(
        placed(kube="/usr/local/bin/kube", ptp="/opt/cni/bin/ptp"), {"/usr/local/bin/kubelet": "kube"}
    )
    assert found == ["/opt/cni/bin/ptp", "/usr/local/bin/kube", "/usr/local/bin/kubelet"]


@pytest.mark.parametrize(
    ("path", "links"),
    [
        ("/usr/local/bin/../../bin/sh", {}),
        ("/usr//bin/sh", {}),
        ("usr/bin/sh", {}),
        ("/", {}),
        ("/usr/local/bin/", {}),
        ("/root/.profile", {}),
        ("/usr/local/bin/kube\n", {}),
        ("/usr/local/bin/kube", {"/usr/local/bin/../sh": "kube"}),
        ("/usr/local/bin/kube", {"/usr/local/bin/sh": "../../../bin/sh"}),
        ("/usr/local/bin/kube", {"/usr/local/bin/sh": "nothing"}),
        ("/usr/local/bin/kube", {"/usr/local/bin/kube": "kube"}),
    ],
)
def test_a_place_that_leads_elsewhere_is_refused_by_who_lays_programs_down(path: str, links: dict[str, str]) -> None:
    with pytest.raises(ValueError, match=r"place|program"):
        release.program_places(placed(kube=path), links)


def test_programs_that_differ_or_lack_are_sent_and_others_are_not(tmp_path: Path) -> None:
    places = {name: tmp_path / name for name in ("same", "other", "readable", "gone", "kept", "astray", "absent")}
    for name in ("same", "other", "readable"):
        places[name].write_bytes(name.encode())
        places[name].chmod(0o644 if name == "readable" else 0o755)
    places["kept"].symlink_to("same")
    places["astray"].symlink_to("other")
    present = look(files=[str(path) for path in places.values()])["files"]
    wanted = [
        {"name": name, "destination": str(places[name]), "sha256": hashlib.sha256(data).hexdigest()}
        for name, data in (("same", b"same"), ("other", b"new"), ("readable", b"readable"), ("gone", b"gone"))
    ]
    assert [w["name"] for w in release.missing_programs(wanted, present)] == ["other", "readable", "gone"]
    links = {str(places[name]): "same" for name in ("kept", "astray", "absent")}
    assert list(release.missing_links(links, present)) == [str(places["astray"]), str(places["absent"])]


def test_blobs_that_a_host_lacks_go_one_by_one_only_where_they_are_large(tmp_path: Path) -> None:
    large = bytes((1 << 20) + 1)
    listed = image(tmp_path, b"there", b"small", large)
    (tmp_path / "index.json").write_text(json.dumps({"manifests": [listed]}))
    digests = {data: hashlib.sha256(data).hexdigest() for data in (b"there", b"small", large)}
    lacking = release.missing_blobs(str(tmp_path), [digests[b"there"], 64 * "f"])
    assert lacking["large"] == [digests[large]]
    assert digests[b"small"] in lacking["small"]
    assert digests[b"there"] not in lacking["small"]
    assert release.missing_blobs(str(tmp_path), release.layout_blobs(str(tmp_path))) == {"small": [], "large": []}


def test_blobs_of_a_layout_are_named_once_and_stray_ones_not_at_all(tmp_path: Path) -> None:
    first, second = image(tmp_path, b"base", b"one"), image(tmp_path, b"base", b"two")
    stray = put(tmp_path, b"nobody's")
    (tmp_path / "index.json").write_text(json.dumps({"manifests": [first, second]}))
    found = release.layout_blobs(str(tmp_path))
    assert len(found) == len(set(found)) == 6
    assert stray not in found
    assert hashlib.sha256(b"base").hexdigest() in found


def test_a_layout_without_a_manifest_is_an_error(tmp_path: Path) -> None:
    gone = image(tmp_path, b"x")
    (tmp_path / "blobs/sha256" / gone["digest"].removeprefix("sha256:")).unlink()
    (tmp_path / "index.json").write_text(json.dumps({"manifests": [gone]}))
    with pytest.raises(FileNotFoundError):
        release.layout_blobs(str(tmp_path))
