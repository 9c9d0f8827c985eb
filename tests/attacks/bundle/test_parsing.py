"""Attacks 11 to 17 on bundle directories: types swapped, hostile JSON, names, paths, links, special files, bombs."""

from __future__ import annotations

import json
import os
import socket
from typing import TYPE_CHECKING, Any

import pytest

from airgap_bundle import strict_json
from airgap_bundle.digest import sha256
from airgap_bundle.errors import (
    DigestMismatchError,
    MalformedError,
    MissingFileError,
    MixedMetadataError,
    PayloadTypeError,
    SpecialFileError,
    UnlistedFileError,
    UnsafeNameError,
    VerificationError,
)
from airgap_bundle.statement import WAIVER_TYPE, sign_statement, verify_statement
from tests.bundles import Draft, Site, blob, make, reseal, rewrite, root_bytes, signer

if TYPE_CHECKING:
    from pathlib import Path

REFUSED_NAMES = [
    "../escape",
    "..",
    "/etc/passwd",
    "a/b",
    "a\\b",
    "C:evil",
    "nul\0byte",
    "trailing.",
    "trailing ",
    "CON",
    "aux.txt",
    "e\u0301",
    "bidi\u202egpj.exe",
    "zero\u200bwidth",
    "n" * 256,
]


def replace_target(bundle: Path, name: str, data: bytes) -> None:
    """Put ``data`` in the place of a target and have enough persons sign it: only the parser is left to refuse."""
    (bundle / name).write_bytes(data)

    def describe(signed: dict[str, Any]) -> None:
        signed["targets"][name] = {"length": len(data), "hashes": {"sha256": sha256(data).hex}}

    rewrite(bundle / "metadata/targets.json", describe, "architect", "builder")
    reseal(bundle)


def with_release(bundle: Path, **fields: Any) -> None:
    value = json.loads((bundle / "release.json").read_bytes())
    replace_target(bundle, "release.json", json.dumps({**value, **fields}).encode())


def test_11_a_statement_of_one_type_does_not_pass_for_another() -> None:
    signed = sign_statement({"schema": 1}, "application/vnd.sovereign.other.v1+json", signer("architect"))
    with pytest.raises(PayloadTypeError):
        verify_statement(signed, WAIVER_TYPE, [signer("architect").public])


def test_11_a_statement_relabelled_after_signing_is_refused() -> None:
    signed = json.loads(sign_statement({"schema": 1}, "application/vnd.sovereign.other.v1+json", signer("architect")))
    signed["payloadType"] = WAIVER_TYPE
    with pytest.raises(VerificationError, match="is invalid"):
        verify_statement(json.dumps(signed).encode(), WAIVER_TYPE, [signer("architect").public])


@pytest.mark.parametrize(("role", "other"), [("targets", "snapshot"), ("timestamp", "snapshot"), ("snapshot", "root")])
def test_11_metadata_of_one_role_does_not_pass_for_another(site: Site, bundle: Path, role: str, other: str) -> None:
    source = "1.root" if other == "root" else other
    (bundle / f"metadata/{role}.json").write_bytes((bundle / f"metadata/{source}.json").read_bytes())
    site.refuses(bundle, MalformedError, match="metadata of type")


HOSTILE_JSON = {
    "duplicate keys": b'{"signatures":[],"signed":{},"signed":{}}',
    "nan": b'{"signatures":[],"signed":{"version":NaN}}',
    "infinity by exponent": b'{"signatures":[],"signed":{"version":1e999}}',
    "lone surrogate": b'{"signatures":[],"signed":{"_type":"\\ud800"}}',
    "nesting": b"[" * 100_000 + b"]" * 100_000,
    "a hundred megabytes": b'{"pad":"' + b" " * (100 << 20) + b'"}',
    "not utf-8": b'{"signatures":[],"signed":{"_type":"\xff"}}',
    "byte order mark": b"\xef\xbb\xbf{}",
    "fraction as version": b'{"signatures":[],"signed":{"_type":"timestamp","version":1.5}}',
    "truth as version": b'{"signatures":[],"signed":{"_type":"timestamp","version":true}}',
    "unsigned extra field": b'{"signatures":[],"signed":{},"note":"unsigned"}',
    "empty": b"",
}


@pytest.mark.parametrize("data", HOSTILE_JSON.values(), ids=HOSTILE_JSON.keys())
@pytest.mark.parametrize("name", ["metadata/timestamp.json", "metadata/targets.json"])
def test_12_hostile_json_is_refused_before_it_is_trusted(site: Site, bundle: Path, name: str, data: bytes) -> None:
    (bundle / name).write_bytes(data)
    site.refuses(bundle, MalformedError)


@pytest.mark.parametrize("name", ["index.json", "release.json"])
def test_12_duplicate_keys_are_refused_even_where_they_are_signed(site: Site, bundle: Path, name: str) -> None:
    data = (bundle / name).read_bytes()
    replace_target(bundle, name, data[:-1] + b',"schema":1,"schema":1}')
    site.refuses(bundle, MalformedError, match="twice")


@pytest.mark.parametrize("name", REFUSED_NAMES)
def test_13_an_unsafe_title_is_refused_though_it_is_signed(fresh: Site, tmp_path: Path, name: str) -> None:
    draft = Draft(files={"policy": {name: b"evil"}})
    bundle = sign_as_is(draft.write(tmp_path / "evil"))
    fresh.refuses(bundle, UnsafeNameError, pin=(bundle / "metadata/1.root.json").read_bytes())


@pytest.mark.parametrize("pair", [("Model.gguf", "model.GGUF"), ("straße", "STRASSE"), ("ﬁle", "file")])
def test_13_titles_that_collide_on_some_file_system_are_refused(
    fresh: Site, tmp_path: Path, pair: tuple[str, str]
) -> None:
    draft = Draft(files={"policy": {name: name.encode() for name in pair}})
    bundle = sign_as_is(draft.write(tmp_path / "evil"))
    fresh.refuses(bundle, UnsafeNameError, match="one file", pin=(bundle / "metadata/1.root.json").read_bytes())


def sign_as_is(bundle: Path) -> Path:
    """Sign without the checks that ``sign_bundle`` makes first: the attacker holds the keys of two persons."""
    honest = make(bundle.with_name("honest"))
    (honest / "metadata").rename(bundle / "metadata")

    def describe(signed: dict[str, Any]) -> None:
        for name in ("index.json", "release.json"):
            data = (bundle / name).read_bytes()
            signed["targets"][name] = {"length": len(data), "hashes": {"sha256": sha256(data).hex}}

    rewrite(bundle / "metadata/targets.json", describe, "architect", "builder")
    reseal(bundle)
    return bundle


@pytest.mark.parametrize("name", ["CON", "trailing.", "zero\u200bwidth", "back\\slash", "e\u0301"])
def test_13_unsafe_names_on_the_medium_are_refused_before_anything_is_read(site: Site, bundle: Path, name: str) -> None:
    (bundle / name).write_bytes(b"")
    site.refuses(bundle, UnsafeNameError)


def test_13_names_on_the_medium_that_fold_together_are_refused(site: Site, bundle: Path) -> None:
    (bundle / "INDEX.json").write_bytes(b"{}")
    site.refuses(bundle, UnsafeNameError, match="one file")


@pytest.mark.parametrize("field", ["version", "name"])
@pytest.mark.parametrize("value", ["../../../etc/cron.d/x", "/abs", ".."])
def test_14_a_release_name_or_version_is_never_a_path(site: Site, bundle: Path, field: str, value: str) -> None:
    with_release(bundle, **{field: value})
    site.refuses(bundle, UnsafeNameError)


def test_14_an_artifact_name_is_never_a_path(site: Site, bundle: Path) -> None:
    value = json.loads((bundle / "index.json").read_bytes())
    value["manifests"][0]["annotations"]["org.opencontainers.image.ref.name"] = "../../trust"
    replace_target(bundle, "index.json", json.dumps(value).encode())
    site.refuses(bundle, UnsafeNameError)


@pytest.mark.parametrize("digest", ["sha256:../../../../etc/shadow", "sha256:" + "A" * 64, "sha512:" + "a" * 128, 7])
def test_14_a_digest_is_never_a_path(site: Site, bundle: Path, digest: object) -> None:
    value = json.loads((bundle / "index.json").read_bytes())
    value["manifests"][0]["digest"] = digest
    replace_target(bundle, "index.json", json.dumps(value).encode())
    site.refuses(bundle, MalformedError, match="digest")


def test_14_metadata_that_names_other_metadata_by_path_is_refused(site: Site, bundle: Path) -> None:
    def rename(signed: dict[str, Any]) -> None:
        signed["meta"]["../targets.json"] = signed["meta"].pop("targets.json")

    rewrite(bundle / "metadata/snapshot.json", rename, "release")
    site.refuses(bundle, MalformedError)


def test_14_a_descriptor_that_names_addresses_is_refused(site: Site, bundle: Path) -> None:
    value = json.loads((bundle / "index.json").read_bytes())
    value["manifests"][0]["urls"] = ["https://example.invalid/blob"]
    replace_target(bundle, "index.json", json.dumps(value).encode())
    site.refuses(bundle, MalformedError, match="addresses")


@pytest.mark.parametrize("name", ["index.json", "metadata/targets.json", "oci-layout"])
def test_15_a_symbolic_link_in_place_of_a_file_is_refused(site: Site, bundle: Path, name: str) -> None:
    path = bundle / name
    path.rename(bundle.parent / "elsewhere")
    path.symlink_to(bundle.parent / "elsewhere")
    site.refuses(bundle, SpecialFileError, match="symbolic link")


@pytest.mark.parametrize("name", ["metadata", "blobs", "blobs/sha256"])
def test_15_a_symbolic_link_in_place_of_a_folder_is_refused(site: Site, bundle: Path, name: str) -> None:
    path = bundle / name
    path.rename(bundle.parent / "elsewhere")
    path.symlink_to(bundle.parent / "elsewhere")
    site.refuses(bundle, SpecialFileError)


def test_15_a_dangling_link_besides_is_refused(site: Site, bundle: Path) -> None:
    (bundle / "blobs/link").symlink_to("/etc/shadow")
    site.refuses(bundle, SpecialFileError)


def test_15_a_hard_link_is_only_another_file(site: Site, bundle: Path) -> None:
    os.link(bundle / "index.json", bundle / "blobs/sha256" / ("0" * 64))
    site.refuses(bundle, UnlistedFileError)


def test_16_a_fifo_is_refused_without_waiting_for_its_writer(site: Site, bundle: Path) -> None:
    (bundle / "release.json").unlink()
    os.mkfifo(bundle / "release.json")
    site.refuses(bundle, SpecialFileError, match="FIFO")


def test_16_a_socket_is_refused(site: Site, bundle: Path) -> None:
    (bundle / "oci-layout").unlink()
    with socket.socket(socket.AF_UNIX) as listener:
        before = os.getcwd()  # noqa: PTH109 - sun_path holds 108 bytes: bind by a relative name
        os.chdir(bundle)
        try:
            listener.bind("oci-layout")
        finally:
            os.chdir(before)
        site.refuses(bundle, SpecialFileError, match="socket")


@pytest.mark.skipif(os.geteuid() != 0, reason="making a device node needs root")
def test_16_a_device_is_refused(site: Site, bundle: Path) -> None:
    (bundle / "oci-layout").unlink()
    os.mknod(bundle / "oci-layout", 0o20666, os.makedev(1, 5))
    site.refuses(bundle, SpecialFileError, match="device")


def test_17_a_manifest_beyond_its_cap_is_refused_by_its_declared_size(site: Site, bundle: Path) -> None:
    value = json.loads((bundle / "index.json").read_bytes())
    value["manifests"][0]["size"] = 1 << 40
    replace_target(bundle, "index.json", json.dumps(value).encode())
    site.refuses(bundle, MalformedError, match="exceeds")


def test_17_a_file_larger_than_declared_is_refused_before_it_is_read(site: Site, bundle: Path) -> None:
    largest = max((bundle / "blobs/sha256").iterdir(), key=lambda path: path.stat().st_size)
    os.truncate(largest, 1 << 40)
    site.refuses(bundle, DigestMismatchError, match="bytes long")


def test_17_folders_without_end_are_refused(site: Site, bundle: Path) -> None:
    (bundle / "/".join(["d"] * 40)).mkdir(parents=True)
    site.refuses(bundle, MalformedError, match="deeper")


def test_an_index_without_its_blobs_is_refused(fresh: Site, bundle: Path) -> None:
    """By a site that does not hold them either; one that does reads a delta (tests/attacks/media)."""
    next(path for path in (bundle / "blobs/sha256").iterdir() if b"GGUF" in path.read_bytes()).unlink()
    fresh.refuses(bundle, MissingFileError, pin=root_bytes())


def test_an_sbom_about_another_artifact_is_refused(site: Site, bundle: Path) -> None:
    with_release(bundle, sbom=str(sha256(b"absent")))
    site.refuses(bundle, MixedMetadataError, match="sbom")


def test_a_blob_with_two_declared_sizes_is_refused(site: Site, bundle: Path) -> None:
    value = json.loads((bundle / "index.json").read_bytes())
    first = value["manifests"][0]
    path = bundle / "blobs/sha256" / first["digest"].removeprefix("sha256:")
    manifest = json.loads(path.read_bytes())
    manifest["layers"].append({**manifest["config"], "size": 1, "annotations": {"org.opencontainers.image.title": "x"}})
    found = blob(bundle, strict_json.dumps(manifest), first["mediaType"])
    first.update(digest=str(found.digest), size=found.size)
    value["manifests"] = [item for item in value["manifests"] if "sbom" not in json.dumps(item)]
    replace_target(bundle, "index.json", json.dumps(value).encode())
    site.refuses(bundle, MalformedError, match="two sizes")


@pytest.mark.parametrize("config", [b"[]", b'{"a":1,"a":2}', b"not json"])
def test_a_config_that_is_no_strict_json_object_is_refused_though_it_is_signed(
    fresh: Site, tmp_path: Path, config: bytes
) -> None:
    bundle = Draft().write(tmp_path / "evil")
    value = json.loads((bundle / "index.json").read_bytes())
    release = json.loads((bundle / "release.json").read_bytes())
    entry = next(item for item in value["manifests"] if item["artifactType"].endswith("model.v1"))
    path = bundle / "blobs/sha256" / entry["digest"].removeprefix("sha256:")
    manifest = json.loads(path.read_bytes())
    written = blob(bundle, config, manifest["config"]["mediaType"])
    manifest["config"] = written.to_json()
    found = blob(bundle, strict_json.dumps(manifest), entry["mediaType"])
    for item in release["artifacts"]:
        if item["digest"] == entry["digest"]:
            item["digest"] = str(found.digest)
    value["manifests"] = [item for item in value["manifests"] if "sbom" not in str(item["annotations"])]
    entry.update(digest=str(found.digest), size=found.size)
    del release["sbom"]
    (bundle / "index.json").write_bytes(strict_json.dumps(value))
    (bundle / "release.json").write_bytes(strict_json.dumps(release))
    sign_as_is(bundle)
    fresh.refuses(bundle, MalformedError, pin=(bundle / "metadata/1.root.json").read_bytes())
