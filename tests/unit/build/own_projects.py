"""A project of ours that compiles one function out of a foreign package's sdist."""

from __future__ import annotations

import gzip
import io
import tarfile
from typing import TYPE_CHECKING

from airgap_bundle.build.python_packages import file_identity
from airgap_bundle.lock import LockedInput, dump_lock, load_lock

if TYPE_CHECKING:
    from pathlib import Path

    from tests.unit.build.synthetic_release import Synthetic

FOREIGN = {
    "foreign-4.2/setup.py": b"raise SystemExit('never run')\n",
    "foreign-4.2/src/lib/answer.c": b"int answer(void) { return 42; }\n",
    "foreign-4.2/src/LICENSE": b"terms\n",
}
COMPILED = {
    "name": "our-answer",
    "project": "native/our-answer",
    "sources": {"package": "foreign==4.2", "folder": "src/lib"},
}
_PROJECT = {
    "CMakeLists.txt": """cmake_minimum_required(VERSION 3.26)
project(our_answer LANGUAGES C)
add_library(our_answer SHARED "${SOVEREIGN_SOURCES}/answer.c")
install(TARGETS our_answer LIBRARY DESTINATION our_answer)
""",
    "pyproject.toml": """[build-system]
requires = ["scikit-build-core"]
build-backend = "scikit_build_core.build"
[project]
name = "our-answer"
version = "1.5"
[tool.scikit-build]
wheel.py-api = "py3"
wheel.packages = ["our_answer"]
""",
    "our_answer/__init__.py": "",
}


def sdist(path: Path, members: dict[str, bytes], links: dict[str, str] | None = None) -> Path:
    """A source package with ``members``, and with symbolic ``links``."""
    with path.open("wb") as raw, gzip.GzipFile(fileobj=raw, mode="wb", mtime=0) as packed:
        archive = tarfile.open(fileobj=packed, mode="w")  # noqa: SIM115 - closed below, before what it writes to
        for name, data in members.items():
            info = tarfile.TarInfo(name)
            info.size = len(data)
            archive.addfile(info, io.BytesIO(data))
        for name, target in (links or {}).items():
            info = tarfile.TarInfo(name)
            info.type, info.linkname = tarfile.SYMTYPE, target
            archive.addfile(info)
        archive.close()
    return path


def write_project(folder: Path) -> Path:
    for name, text in _PROJECT.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return folder


def add_own_project(synthetic: Synthetic) -> None:
    """Put the project into a release whose lock has the foreign sdist, and no recipe yet."""
    write_project(synthetic.release.parent / "native" / "our-answer")
    synthetic.edit(lambda value: value["artifacts"][0].update(compiled=[COMPILED]))
    kept = synthetic.cache.add_file(sdist(synthetic.wheels / "foreign-4.2.tar.gz", FOREIGN))
    name, version = file_identity("foreign-4.2.tar.gz")
    path = synthetic.release.with_name("release.lock")
    lock = load_lock(path)
    item = LockedInput("runtime", "sdist", name, version, "foreign-4.2.tar.gz", kept.sha256, kept.size)
    path.write_bytes(dump_lock(type(lock)(lock.name, lock.version, (*lock.inputs, item))))
