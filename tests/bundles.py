"""Small bundles for tests: a few kilobytes, made with the library's parts, signed by keys that follow from names."""

from __future__ import annotations

import hashlib
import io
import json
import os
import zipfile
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import cache
from typing import TYPE_CHECKING, Any

import pytest
from securesystemslib.formats import encode_canonical

from airgap_bundle import ceremony, strict_json
from airgap_bundle.descriptor import (
    CYCLONEDX_TYPE,
    INDEX_TYPE,
    MANIFEST_TYPE,
    NAME,
    OCI_LAYOUT,
    TITLE,
    Descriptor,
    artifact_type,
)
from airgap_bundle.digest import Digest, sha256
from airgap_bundle.first_contact import program as uv_program
from airgap_bundle.importer import import_release
from airgap_bundle.oci import Release
from airgap_bundle.report import ReleaseInfo
from airgap_bundle.sign import sign_bundle, sign_root
from airgap_bundle.trust_state import TrustState, fingerprint
from tests.signers import signer

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from pathlib import Path

    from tuf.api.metadata import Metadata, Root

    from airgap_bundle import keys
    from airgap_bundle.errors import VerificationError
    from airgap_bundle.store import VerifiedRelease

NOW = datetime(2026, 6, 1, 12, 0, 0, tzinfo=UTC)
SUPPORT_UNTIL = NOW + timedelta(days=730)
# The file that tells an artifact's kind; anything else is a policy.
KINDS = {"model.gguf": "model", "keycloak.tar": "keycloak", "requirements.txt": "wheelhouse"}


def people(*names: str) -> list[keys.Signer]:
    return [signer(name) for name in names]


def unsigned_root(
    names: Sequence[str] = ("architect", "builder", "custodian"),
    *,
    release: str = "release",
    threshold: int = 2,
    version: int = 1,
) -> Metadata[Root]:
    public = [person.public for person in people(*names)]
    return ceremony.build_root(public, signer(release).public, threshold, now=NOW, version=version)


@cache
def root_bytes() -> bytes:
    """Root 1: two of architect, builder, custodian; snapshot and timestamp by ``release``."""
    return sign_root(unsigned_root(), people("architect", "builder", "custodian"))


@cache
def second_root() -> bytes:
    """Root 2: custodian left, deputy came, and the release key is new; signed by enough of both."""
    root = unsigned_root(("architect", "builder", "deputy"), release="release-2", version=2)
    return sign_root(root, people("architect", "builder", "deputy"))


@cache
def foreign_root() -> bytes:
    """Root 1 of other people."""
    return sign_root(unsigned_root(("outsider", "stranger"), release="other"), people("outsider", "stranger"))


def archive(members: Mapping[str, str | bytes]) -> bytes:
    """A zip of ``members``, the same bytes at every call."""
    data = io.BytesIO()
    with zipfile.ZipFile(data, "w") as out:
        for name, content in members.items():
            out.writestr(zipfile.ZipInfo(name), content)
    return data.getvalue()


def uv_wheel(program: str | bytes = "#!/bin/sh\nexit 1\n") -> bytes:
    """A wheel called ``UV`` that carries ``program``."""
    return archive({"uv-0.0.1.data/scripts/uv": program})


def described_uv(files: Mapping[str, bytes]) -> dict[str, Any] | None:
    """What a builder writes of uv into the config of the wheelhouse ``files``."""
    names = [name for name in files if name.startswith("uv-")]
    if len(names) != 1:
        return None
    return uv_program.measure(io.BytesIO(files[names[0]]), names[0]).to_json()


UV = "uv-0.0.1-py3-none-any.whl"
WHEELS = {UV: uv_wheel(), "requirements.txt": b"uv==0.0.1\n"}


@dataclass
class Draft:
    """What goes into a bundle; ``write`` lays it out unsigned."""

    version: str = "1.0.0"
    number: int = 1
    min_release: int = 1
    files: Mapping[str, Mapping[str, bytes]] = field(
        default_factory=lambda: {
            "policy": {"models.yaml": b"schema: 1\n"},
            "runtime": WHEELS,
            "tiny-model": {"model.gguf": b"GGUF" + bytes(3000), "chat_template.jinja": b"{{ prompt }}"},
        }
    )
    support_until: datetime = SUPPORT_UNTIL
    release_fields: Mapping[str, Any] = field(default_factory=dict)
    wheelhouse_fields: Mapping[str, Any] = field(default_factory=dict)
    versions: Mapping[str, str] = field(default_factory=dict)

    def write(self, bundle: Path) -> Path:
        (bundle / "blobs/sha256").mkdir(parents=True)
        artifacts, descriptors = [], []
        for name, files in sorted(self.files.items()):
            kind = next((KINDS[title] for title in files if title in KINDS), "policy")
            found = self._artifact(bundle, name, kind, files)
            artifacts.append(
                {
                    "name": name,
                    "kind": kind,
                    "version": self.versions.get(name, self.version),
                    "digest": str(found.digest),
                }
            )
            descriptors += [found, self._sbom(bundle, found, f"{name}.sbom")]
        merged = self._sbom(bundle, None, "release.sbom")
        release = {
            "schema": 1,
            "name": "sovereign",
            "version": self.version,
            "number": self.number,
            "min_release": self.min_release,
            "support_until": self.support_until.strftime("%Y-%m-%dT%H:%M:%SZ"),
            "artifacts": artifacts,
            "sbom": str(merged.digest),
            **self.release_fields,
        }
        listed = [found.to_json() for found in (*descriptors, merged)]
        index = {"schemaVersion": 2, "mediaType": INDEX_TYPE, "manifests": listed}
        (bundle / "oci-layout").write_bytes(OCI_LAYOUT)
        (bundle / "index.json").write_bytes(strict_json.dumps(index))
        (bundle / "release.json").write_bytes(strict_json.dumps(release))
        return bundle

    def _artifact(self, bundle: Path, name: str, kind: str, files: Mapping[str, bytes]) -> Descriptor:
        settings: dict[str, Any] = {"schema": 1, "name": name}
        if kind == "wheelhouse":
            settings |= {"machine": "x86_64", "glibc": "2.28", **self.wheelhouse_fields}
            if "uv" not in settings:
                settings["uv"] = described_uv(files)
        config = blob(bundle, strict_json.dumps(settings), f"application/vnd.sovereign.{kind}.config.v1+json")
        layers = [
            blob(bundle, data, "application/octet-stream", {TITLE: title}) for title, data in sorted(files.items())
        ]
        return manifest(bundle, name, artifact_type(kind), config, layers)

    def _sbom(self, bundle: Path, subject: Descriptor | None, name: str) -> Descriptor:
        text = strict_json.dumps({"bomFormat": "CycloneDX", "serialNumber": name})
        config = blob(bundle, b"{}", "application/vnd.oci.empty.v1+json")
        layer = blob(bundle, text, CYCLONEDX_TYPE, {TITLE: "sbom.cdx.json"})
        return manifest(bundle, name, CYCLONEDX_TYPE, config, [layer], subject=subject)


def manifest(  # noqa: PLR0913 - the fields of an OCI manifest
    bundle: Path,
    name: str,
    type_: str,
    config: Descriptor,
    layers: Sequence[Descriptor],
    *,
    subject: Descriptor | None = None,
) -> Descriptor:
    value: dict[str, Any] = {
        "schemaVersion": 2,
        "mediaType": MANIFEST_TYPE,
        "artifactType": type_,
        "config": config.to_json(),
        "layers": [layer.to_json() for layer in layers],
    }
    if subject is not None:
        value["subject"] = {"mediaType": MANIFEST_TYPE, "digest": str(subject.digest), "size": subject.size}
    found = blob(bundle, strict_json.dumps(value), MANIFEST_TYPE)
    return Descriptor(MANIFEST_TYPE, found.digest, found.size, {NAME: name}, type_)


def blob(bundle: Path, data: bytes, media_type: str, annotations: Mapping[str, str] | None = None) -> Descriptor:
    digest = sha256(data)
    blob_file(bundle, digest).write_bytes(data)
    return Descriptor(media_type, digest, len(data), annotations or {})


def blob_file(bundle: Path, digest: Digest) -> Path:
    return bundle / "blobs/sha256" / digest.hex


def sign(bundle: Path, *names: str, roots: Mapping[int, bytes] | None = None, now: datetime = NOW) -> Path:
    """Sign by ``names`` in that order; a name that begins with ``release`` seals."""
    for name in names:
        sign_bundle(bundle, signer(name), now=now, roots=roots or {1: root_bytes()})
    return bundle


def make(bundle: Path, **changes: Any) -> Path:
    """A whole, sealed bundle of a release."""
    return sign(Draft(**changes).write(bundle), "architect", "builder", "release")


def trust(root: bytes | None = None) -> TrustState:
    """What a site expects that typed the fingerprint of ``root`` (root 1 when None)."""
    return TrustState.expecting(fingerprint(root or root_bytes()))


def tree(*folders: Path) -> dict[str, str]:
    """Every path under ``folders`` with its kind and content digest: equal means nothing was changed."""
    found: dict[str, str] = {}
    for folder in folders:
        found[str(folder)] = "folder" if folder.exists() else "absent"
        for base, directories, files in os.walk(folder):
            found.update({os.path.join(base, name): "folder" for name in directories})  # noqa: PTH118 - os.walk's own
            for name in files:
                with open(os.path.join(base, name), "rb") as stream:  # noqa: PTH118, PTH123 - as above
                    found[stream.name] = hashlib.file_digest(stream, "sha256").hexdigest()
    return found


def rewrite(path: Path, change: Callable[[dict[str, Any]], None], *names: str) -> None:
    """Change the signed part of a metadata file and sign it anew by ``names``: what the holder of those keys can do."""
    value = json.loads(path.read_bytes())
    change(value["signed"])
    payload = encode_canonical(value["signed"])
    assert payload is not None
    signatures = [found for name in names for found in signer(name).sign(payload.encode())]
    value["signatures"] = [found.to_dict() for found in signatures]
    path.write_bytes(json.dumps(value).encode())


def reseal(bundle: Path, *, seal: str = "release") -> None:
    """Bind the metadata as it lies there: what the holder of the release key can do."""
    for role in ("snapshot", "timestamp"):
        (bundle / f"metadata/{role}.json").unlink(missing_ok=True)
    targets = (bundle / "metadata/targets.json").read_bytes()
    number = json.loads(targets)["signed"]["version"]
    described = Release(ReleaseInfo("sovereign", "any", number, 1), SUPPORT_UNTIL, {}, None)
    snapshot = ceremony.build_snapshot(targets, described, now=NOW)
    snapshot.signed.meta["targets.json"].version = number
    data = ceremony.add_signatures(snapshot, signer(seal)).to_bytes()
    (bundle / "metadata/snapshot.json").write_bytes(data)
    timestamp = ceremony.build_timestamp(data, described, now=NOW)
    (bundle / "metadata/timestamp.json").write_bytes(ceremony.add_signatures(timestamp, signer(seal)).to_bytes())


@dataclass
class Site:
    """A site's trust directory and store."""

    root: Path

    @property
    def trust(self) -> Path:
        return self.root / "trust"

    @property
    def store(self) -> Path:
        return self.root / "store"

    def install(self, bundle: Path, *, now: datetime = NOW, pin: bytes | None = None, **more: Any) -> VerifiedRelease:
        """Import ``bundle``; ``pin`` is the root whose fingerprint the operator types."""
        typed = None if pin is None else str(fingerprint(pin))
        return import_release(bundle, self.trust, self.store, now=now, root_fingerprint=typed, **more)

    @contextmanager
    def unchanged(self) -> Iterator[None]:
        """Every byte under the site is the same before and after."""
        before = tree(self.root)
        yield
        assert tree(self.root) == before

    def refuses(
        self, bundle: Path, error: type[VerificationError], *, match: str | None = None, **more: Any
    ) -> VerificationError:
        """Importing ``bundle`` raises exactly ``error`` and changes nothing."""
        with self.unchanged(), pytest.raises(error, match=match) as caught:
            self.install(bundle, **more)
        assert type(caught.value) is error, caught.value
        return caught.value
