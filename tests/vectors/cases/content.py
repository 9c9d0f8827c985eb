"""Section 4: index, manifests and release file, signed by enough persons, so that only their own rules can refuse."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING, Any

from airgap_bundle import strict_json
from airgap_bundle.descriptor import CYCLONEDX_TYPE, INDEX_TYPE, OCI_LAYOUT, TITLE, Descriptor, artifact_type
from tests.bundles import WHEELS, Draft, blob, manifest, root_bytes, sign
from tests.vectors.cases.desk import case, sign_anyhow

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    Change = Callable[[dict[str, Any]], object]


def _nothing(_value: dict[str, Any]) -> None:
    """Leave it as it is."""


def plain(  # noqa: PLR0913 - each is a place where something can be wrong
    folder: Path,
    *,
    files: Mapping[str, bytes] | None = None,
    config: bytes = b'{"name":"policy","schema":1}',
    kind: str = artifact_type("policy"),
    layer: Change = _nothing,
    listed: Change = _nothing,
    index: Change = _nothing,
    release: Change = _nothing,
    sbom_about: Callable[[Descriptor], Descriptor | None] | None = None,
) -> Path:
    """A release with one small artifact, its documents changed before they are written and signed."""
    bundle = folder / "bundle"
    shutil.rmtree(bundle)
    (bundle / "blobs/sha256").mkdir(parents=True)
    (bundle / "oci-layout").write_bytes(OCI_LAYOUT)
    layers = [
        blob(bundle, data, "application/octet-stream", {TITLE: title})
        for title, data in sorted((files or {"models.yaml": b"schema: 1\n"}).items())
    ]
    spelled = [found.to_json() for found in layers]
    layer(spelled[0])
    written = blob(bundle, config, "application/vnd.sovereign.policy.config.v1+json")
    found = manifest(bundle, "policy", kind, written, [_Spelled(value) for value in spelled])
    entry = found.to_json()
    listed(entry)
    described: dict[str, Any] = {
        "schema": 1,
        "name": "sovereign",
        "version": "3.0.0",
        "number": 3,
        "min_release": 1,
        "support_until": "2028-05-31T12:00:00Z",
        "artifacts": [{"name": "policy", "kind": "policy", "version": "1", "digest": str(found.digest)}],
    }
    entries = [entry]
    if sbom_about is not None:
        empty = blob(bundle, b"{}", "application/vnd.oci.empty.v1+json")
        text = blob(bundle, b'{"bomFormat":"CycloneDX"}', CYCLONEDX_TYPE, {TITLE: "sbom.cdx.json"})
        merged = manifest(bundle, "release.sbom", CYCLONEDX_TYPE, empty, [text], subject=sbom_about(found))
        entries.append(merged.to_json())
        described["sbom"] = str(merged.digest)
    release(described)
    listing = {"schemaVersion": 2, "mediaType": INDEX_TYPE, "manifests": entries}
    index(listing)
    (bundle / "index.json").write_bytes(strict_json.dumps(listing))
    (bundle / "release.json").write_bytes(strict_json.dumps(described))
    return sign_anyhow(bundle)


class _Spelled:
    """Stands for a descriptor, in the spelling that it is given."""

    def __init__(self, value: dict[str, Any]) -> None:
        self._value = value

    def to_json(self) -> dict[str, Any]:
        return self._value


ACCEPTED: dict[str, dict[str, Any]] = {
    "one-artifact-without-sbom": {},
    "two-files-with-one-content": {"files": {"a.yaml": b"same\n", "b.yaml": b"same\n"}},
    "empty-file": {"files": {"empty.txt": b""}},
    "names-in-many-scripts": {"files": {"Maße.txt": b"1", "模型.gguf": b"2", "данные.json": b"3", "日本.md": b"4"}},
    "fields-of-a-later-writer": {"release": lambda value: value.update(later={"a": 1})},
    "merged-sbom": {"sbom_about": lambda _artifact: None},
}


for _name, _parts in ACCEPTED.items():

    @case(_name, None, "names" if "script" in _name else "index", about=_name.replace("-", " "), freshness="pass")
    def accepted(folder: Path, parts: dict[str, Any] = _parts) -> None:
        plain(folder, **parts)


@case("every-kind", None, "index", about="a wheelhouse, Keycloak, a model, a policy, and their SBOMs")
def every_kind(folder: Path) -> None:
    shutil.rmtree(folder / "bundle")
    files = {
        "keycloak": {"keycloak.tar": bytes(1024)},
        "policy": {"models.yaml": b"schema: 1\n"},
        "runtime": WHEELS,
        "tiny-model": {"model.gguf": b"GGUF", "chat_template.jinja": b"{{ prompt }}"},
    }
    bundle = Draft(version="3.0.0", number=3, files=files).write(folder / "bundle")
    sign(bundle, "architect", "builder", "release", roots={1: root_bytes()})


INDEX: dict[str, tuple[str, dict[str, Any]]] = {
    "index-of-another-type": ("index", {"index": lambda v: v.update(mediaType="application/json")}),
    "index-of-another-schema": ("index", {"index": lambda v: v.update(schemaVersion=1)}),
    "index-without-list": ("index", {"index": lambda v: v.update(manifests={})}),
    "index-of-an-index": ("index", {"listed": lambda v: v.update(mediaType=INDEX_TYPE)}),
    "digest-listed-twice": ("index", {"index": lambda v: v["manifests"].append(v["manifests"][0])}),
    "descriptor-with-addresses": ("index", {"listed": lambda v: v.update(urls=["https://example.invalid/blob"])}),
    "descriptor-with-content": ("index", {"layer": lambda v: v.update(data="aGk=")}),
    "descriptor-without-artifact-type": ("index", {"listed": lambda v: v.pop("artifactType")}),
    "descriptor-of-another-artifact-type": (
        "index",
        {"listed": lambda v: v.update(artifactType=artifact_type("model"))},
    ),
    "artifact-type-of-version-2": ("types", {"kind": "application/vnd.sovereign.policy.v2"}),
    "artifact-type-unknown": ("types", {"kind": "application/vnd.sovereign.driver.v1"}),
    "digest-in-upper-case": ("instants", {"listed": lambda v: v.update(digest=v["digest"].upper())}),
    "digest-that-is-a-path": ("instants", {"listed": lambda v: v.update(digest="sha256:../../../etc/passwd")}),
    "digest-of-another-algorithm": ("instants", {"listed": lambda v: v.update(digest="sha512:" + "a" * 128)}),
    "size-below-zero": ("index", {"layer": lambda v: v.update(size=-1)}),
    "size-as-text": ("index", {"layer": lambda v: v.update(size="10")}),
    "manifest-declared-beyond-its-cap": ("caps", {"listed": lambda v: v.update(size=1 << 40)}),
    "blob-with-two-sizes": ("contents", {"files": {"a": b"same", "b": b"same"}, "layer": lambda v: v.update(size=5)}),
    "config-that-is-a-list": ("types", {"config": b"[]"}),
    "config-with-duplicate-keys": ("strict-json", {"config": b'{"a":1,"a":2}'}),
    "release-of-schema-2": ("versions", {"release": lambda v: v.update(schema=2)}),
    "release-number-0": ("release", {"release": lambda v: v.update(number=0, min_release=0)}),
    "release-number-beyond-2-to-the-53": ("release", {"release": lambda v: v.update(number=2**53 + 1)}),
    "release-number-as-truth": ("release", {"release": lambda v: v.update(number=True)}),
    "lower-bound-above-the-number": ("release", {"release": lambda v: v.update(min_release=4)}),
    "support-without-an-instant": ("instants", {"release": lambda v: v.update(support_until="2028-05-31")}),
    "artifact-listed-twice": ("release", {"release": lambda v: v["artifacts"].append(v["artifacts"][0])}),
}


for _name, (_rule, _parts) in INDEX.items():

    @case(_name, "MalformedError", _rule, check="contents", about=f"signed content: {_name.replace('-', ' ')}")
    def malformed(folder: Path, parts: dict[str, Any] = _parts) -> None:
        plain(folder, **parts)


NAMES: dict[str, dict[str, Any]] = {
    "title-that-is-a-path": {"files": {"../escape": b"x"}},
    "title-that-is-absolute": {"files": {"/etc/passwd": b"x"}},
    "title-with-nul": {"files": {"nul\0byte": b"x"}},
    "title-beyond-255-bytes": {"files": {"n" * 256: b"x"}},
    "titles-that-collide": {"files": {"straße": b"1", "STRASSE": b"2"}},
    "titles-twice": {"files": {"a": b"1", "b": b"2"}, "layer": lambda v: v["annotations"].update({TITLE: "b"})},
    "layer-without-title": {"layer": lambda v: v.pop("annotations")},
    "artifact-name-that-is-a-path": {
        "listed": lambda v: v["annotations"].update({"org.opencontainers.image.ref.name": "../../trust"})
    },
    "release-name-that-is-a-path": {"release": lambda v: v.update(name="../../etc")},
    "release-version-that-is-a-path": {"release": lambda v: v.update(version="/abs")},
    "artifact-version-with-an-escape-sequence": {
        "release": lambda v: v["artifacts"][0].update(version="1\x1b]0;owned\x07")
    },
}


for _name, _parts in NAMES.items():

    @case(
        _name,
        "UnsafeNameError",
        "distinct-names" if "collide" in _name or "twice" in _name else "names",
        check="contents",
        about=f"signed content: {_name.replace('-', ' ')}",
    )
    def unsafe(folder: Path, parts: dict[str, Any] = _parts) -> None:
        plain(folder, **parts)


def _about_nothing(artifact: Descriptor) -> Descriptor:
    return Descriptor(artifact.media_type, type(artifact.digest)("sha256:" + "0" * 64), 2)


MIXED: dict[str, dict[str, Any]] = {
    "release-lists-no-artifact": {"release": lambda v: v.update(artifacts=[])},
    "release-lists-another-kind": {"release": lambda v: v["artifacts"][0].update(kind="model")},
    "release-lists-another-name": {"release": lambda v: v["artifacts"][0].update(name="policies")},
    "sbom-that-is-not-there": {"release": lambda v: v.update(sbom="sha256:" + "0" * 64)},
    "sbom-that-is-an-artifact": {"release": lambda v: v.update(sbom=v["artifacts"][0]["digest"])},
    "sbom-about-nothing-in-the-bundle": {"sbom_about": _about_nothing},
    "merged-sbom-about-one-artifact": {"sbom_about": lambda artifact: artifact},
    "number-of-another-release": {"release": lambda v: v.update(number=4)},
}


for _name, _parts in MIXED.items():

    @case(
        _name,
        "MixedMetadataError",
        "sboms" if "sbom" in _name else "release",
        check="contents",
        about=f"signed content: {_name.replace('-', ' ')}",
    )
    def mixed(folder: Path, parts: dict[str, Any] = _parts) -> None:
        plain(folder, **parts)
