"""A wheel of ours out of a foreign package's sources, with the real compiler: locked, built, and the same anywhere."""

from __future__ import annotations

import ctypes
import json
import zipfile
from typing import TYPE_CHECKING

import pytest

from airgap_bundle.build.cache import BuildCache
from airgap_bundle.build.native_wheel import main
from airgap_bundle.build.release import build_release, lock_release
from airgap_bundle.build.reproducible import prove
from airgap_bundle.build.stage import silent
from airgap_bundle.errors import LockError
from airgap_bundle.lock import load_lock
from tests.unit.build.own_projects import add_own_project

if TYPE_CHECKING:
    from pathlib import Path

    from tests.unit.build.synthetic_release import Synthetic

WHEEL = "our_answer-1.5-py3-none-linux_x86_64.whl"


@pytest.fixture
def with_project(synthetic: Synthetic) -> Synthetic:
    add_own_project(synthetic)
    return synthetic


def test_it_is_locked_lies_in_the_wheelhouse_and_answers(with_project: Synthetic, tmp_path: Path) -> None:
    lock, changes = lock_release(with_project.release, cache=with_project.cache, stage=silent)
    assert changes == ("compiled our-answer 1.5",)
    build_release(with_project.release, tmp_path / "bundle", cache=with_project.cache, stage=silent)
    (recipe,) = lock.compiled
    assert recipe.file == WHEEL
    wheel = tmp_path / "bundle" / "blobs" / "sha256" / recipe.sha256
    with zipfile.ZipFile(wheel) as archive:
        archive.extract("our_answer/libour_answer.so", tmp_path)
    assert ctypes.CDLL(str(tmp_path / "our_answer" / "libour_answer.so")).answer() == 42
    listing = next(
        path.read_text()
        for path in (tmp_path / "bundle" / "blobs" / "sha256").iterdir()
        if path.read_bytes().startswith(b"alpha==")
    )
    assert f"our-answer==1.5 --hash=sha256:{recipe.sha256}\n" in listing


def test_it_comes_out_the_same_in_another_folder(with_project: Synthetic) -> None:
    lock_release(with_project.release, cache=with_project.cache, stage=silent)
    claims = prove(with_project.release, with_project.cache, silent)
    assert [(claim["name"], claim["holds"]) for claim in claims] == [
        ("our-answer is reproducible", True),
        ("index.json is reproducible", True),
    ]


def test_an_edited_project_is_not_built_until_it_is_locked_anew(with_project: Synthetic, tmp_path: Path) -> None:
    before, _ = lock_release(with_project.release, cache=with_project.cache, stage=silent)
    cmake = with_project.release.parent / "native" / "our-answer" / "CMakeLists.txt"
    cmake.write_text(cmake.read_text() + "target_compile_options(our_answer PRIVATE -DMORE)\n")
    with pytest.raises(LockError, match="asks for another compilation of our-answer") as caught:
        build_release(with_project.release, tmp_path / "bundle", cache=with_project.cache, stage=silent)
    assert "--relock our-answer" in str(caught.value.hint)
    after, _ = lock_release(with_project.release, cache=with_project.cache, stage=silent, relock=["our-answer"])
    assert after.compiled[0].project_sha256 != before.compiled[0].project_sha256
    build_release(with_project.release, tmp_path / "bundle", cache=with_project.cache, stage=silent)


def test_a_development_environment_gets_it_too(
    with_project: Synthetic, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lock_release(with_project.release, cache=with_project.cache, stage=silent)
    monkeypatch.setenv("SOVEREIGN_CACHE", str(with_project.cache.root))
    lock = with_project.release.with_name("release.lock")
    assert main(["--out", str(tmp_path / "out"), "--lock", str(lock)]) == 0
    assert [path.name for path in (tmp_path / "out").iterdir()] == [WHEEL]


def test_another_toolchains_wheel_is_compiled_for_development_only(
    with_project: Synthetic, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lock_release(with_project.release, cache=with_project.cache, stage=silent)
    path = with_project.release.with_name("release.lock")
    value = json.loads(path.read_text())
    value["compiled"][0].update(compiler="another compiler", sha256="e" * 64)
    path.write_text(json.dumps(value))
    monkeypatch.setenv("SOVEREIGN_CACHE", str(tmp_path / "fresh"))
    fresh = BuildCache(tmp_path / "fresh")
    for item in load_lock(path).inputs:
        fresh.add_file(with_project.cache.path(item.sha256))
    assert main(["--out", str(tmp_path / "out"), "--lock", str(path)]) == 0
    assert [path.name for path in (tmp_path / "out").iterdir()] == [WHEEL]
