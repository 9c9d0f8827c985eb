"""A native wheel is what its recipe gives: another toolchain, other sources or other bytes are refused."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path

import pytest

from airgap_bundle.build.cache import BuildCache, CachedFile
from airgap_bundle.build.native_wheel import (
    compile_wheel,
    include_digests,
    is_own_toolchain,
    locked_wheel,
    main,
    not_ours,
    with_toolchain,
)
from airgap_bundle.build.stage import silent
from airgap_bundle.build.toolchain import Toolchain, build_environment, this_toolchain
from airgap_bundle.build.wheelhouse import _own
from airgap_bundle.compiled_recipe import CompiledRecipe
from airgap_bundle.errors import BuildError
from airgap_bundle.lock import ReleaseLock, load_lock
from airgap_bundle.release_file import load_release

SOURCES = Path(__file__).parents[3] / "sources"
OTHER = Toolchain("3.11", "another compiler", "another linker", {"cmake": "0"})


@pytest.fixture
def sdist(tmp_path: Path) -> CachedFile:
    return BuildCache(tmp_path / "cache").add_bytes(b"sources")


@pytest.fixture
def recipe(tmp_path: Path, sdist: CachedFile) -> CompiledRecipe:
    (tmp_path / "options.cmake").write_text("set(OPTION ON)\n")
    includes = {"native": "options.cmake"}
    return CompiledRecipe(
        artifact="runtime",
        name="native",
        version="1.0",
        sdist=sdist.sha256,
        cmake={},
        project_include=includes,
        include_sha256=include_digests(includes, tmp_path),
        wheel_exclude=(),
        python=OTHER.python,
        compiler=OTHER.compiler,
        linker=OTHER.linker,
        tools=OTHER.tools,
        source_date_epoch=0,
        file="native-1.0-py3-none-any.whl",
        sha256="f" * 64,
        size=1,
    )


def test_a_wheel_in_the_cache_is_taken_whatever_compiles_here(
    tmp_path: Path, recipe: CompiledRecipe, sdist: CachedFile
) -> None:
    cache = BuildCache(tmp_path / "cache")
    kept = cache.add_bytes(b"the wheel")
    known = replace(recipe, sha256=kept.sha256, size=kept.size)
    assert locked_wheel(known, sdist, tmp_path, cache, silent) == kept


def test_another_toolchain_than_the_locks_is_refused_with_the_way_out(
    tmp_path: Path, recipe: CompiledRecipe, sdist: CachedFile
) -> None:
    with pytest.raises(BuildError, match="locked as compiled by another compiler") as caught:
        locked_wheel(recipe, sdist, tmp_path, BuildCache(tmp_path / "cache"), silent)
    assert "--relock native" in str(caught.value.hint)


def test_what_another_machine_compiled_is_told_apart_from_what_the_cache_has(
    tmp_path: Path, recipe: CompiledRecipe
) -> None:
    cache = BuildCache(tmp_path / "cache")
    kept = cache.add_bytes(b"the wheel")
    known = replace(recipe, name="known", sha256=kept.sha256, size=kept.size)
    ours = replace(with_toolchain(recipe, this_toolchain()), name="ours", file="o.whl", sha256="e" * 64, size=1)
    assert not_ours(ReleaseLock("demo", "1", (), (recipe, known, ours)), cache) == ("native",)


def test_changed_cmake_files_are_not_compiled_under_the_old_recipe(
    tmp_path: Path, recipe: CompiledRecipe, sdist: CachedFile
) -> None:
    (tmp_path / "options.cmake").write_text("set(OPTION OFF)\n")
    with pytest.raises(BuildError, match="not those of the lock"):
        compile_wheel(recipe, sdist, tmp_path, BuildCache(tmp_path / "cache"), silent)


def test_a_compiled_wheel_is_found_again_by_its_recipe(
    tmp_path: Path, recipe: CompiledRecipe, sdist: CachedFile, monkeypatch: pytest.MonkeyPatch
) -> None:
    runs = []

    def compiled(_recipe: object, _sdist: object, _folder: object, scratch: Path, _stage: object) -> Path:
        runs.append(1)
        (scratch / "native-1.0-py3-none-any.whl").write_bytes(b"compiled")
        return scratch / "native-1.0-py3-none-any.whl"

    monkeypatch.setattr("airgap_bundle.build.native_wheel._compile", compiled)
    cache = BuildCache(tmp_path / "cache")
    first = compile_wheel(recipe, sdist, tmp_path, cache, silent)
    assert compile_wheel(replace(recipe, artifact="elsewhere"), sdist, tmp_path, cache, silent).sha256 == first.sha256
    assert len(runs) == 1
    for change in ({"cmake": {"A": "1"}}, {"compiler": "gcc 99"}, {"sdist": "0" * 64}, {"source_date_epoch": 1}):
        compile_wheel(replace(recipe, **change), sdist, tmp_path, cache, silent)
    assert len(runs) == 5


def test_the_same_toolchain_is_recognised_whatever_the_result(recipe: CompiledRecipe) -> None:
    assert is_own_toolchain(recipe, OTHER)
    assert is_own_toolchain(recipe, replace(OTHER, python="3.13"))  # the same bytes, seen with 3.11 and 3.12
    assert not is_own_toolchain(recipe, replace(OTHER, linker="a third"))
    assert with_toolchain(recipe, OTHER).sha256 == ""


def test_code_for_gpus_is_of_the_compiler_that_the_lock_names_and_no_other_code_depends_on_it(
    tmp_path: Path, recipe: CompiledRecipe, sdist: CachedFile, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("airgap_bundle.build.native_wheel.this_toolchain", lambda: OTHER)
    on_gpu = replace(recipe, cmake={**recipe.cmake, "GGML_CUDA": "ON"})
    ours, newer = (replace(OTHER, cuda=f"Cuda compilation tools, release 13.{minor}") for minor in (0, 1))
    locked = replace(with_toolchain(on_gpu, ours), sha256="e" * 64, size=1)
    assert is_own_toolchain(locked, ours)
    assert not is_own_toolchain(locked, newer)
    assert not is_own_toolchain(locked, OTHER), "a machine without such a compiler"
    assert is_own_toolchain(recipe, newer)
    assert is_own_toolchain(replace(recipe, cmake={**recipe.cmake, "GGML_CUDA": "off"}), newer)
    with pytest.raises(BuildError, match=r"release 13\.0, here is .*; no nvcc"):
        locked_wheel(locked, sdist, tmp_path, BuildCache(tmp_path / "cache"), silent)
    with pytest.raises(BuildError, match="has code for GPUs, and this machine has no nvcc"):
        compile_wheel(with_toolchain(on_gpu, OTHER), sdist, tmp_path, BuildCache(tmp_path / "cache"), silent)


def test_the_compiler_for_gpus_is_known_by_what_it_says_of_itself(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", f"{tmp_path}{os.pathsep}{os.environ['PATH']}")
    nvcc = tmp_path / "nvcc"
    nvcc.write_text(
        "#!/bin/sh\necho 'nvcc: NVIDIA (R) Cuda compiler driver'\n"
        "echo 'Cuda compilation tools, release 13.0, V13.0.88'\necho 'Build cuda_13.0.r13.0/compiler'\n"
    )
    nvcc.chmod(0o755)
    assert this_toolchain().cuda == "Cuda compilation tools, release 13.0, V13.0.88"
    nvcc.write_text("#!/bin/sh\nexit 1\n")
    assert this_toolchain().cuda == "", "one that does not run keeps nobody from compiling other code"


def test_nobodys_flags_reach_the_compiler(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CFLAGS", "-march=native")
    environment = build_environment(7)
    assert environment["CFLAGS"] == environment["CXXFLAGS"] == environment["LDFLAGS"] == ""
    assert environment["SOURCE_DATE_EPOCH"] == "7"
    assert environment["CUDACXX"] == "nvcc", "the compiler whose version the lock names"
    assert environment["CUDAFLAGS"] == environment["NVCC_APPEND_FLAGS"] == environment["CUDAARCHS"] == ""


def test_the_module_says_what_to_do_without_a_lock(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("SOVEREIGN_CACHE", str(tmp_path / "cache"))
    assert main(["--out", str(tmp_path / "out"), "--lock", str(tmp_path / "none.lock")]) == 2
    assert "hint: run `sovereign bundle lock`" in capsys.readouterr().err


def test_what_is_locked_as_compiled_is_what_the_release_says_now() -> None:
    """A recipe or a CMake file that changed without a new lock would be refused where nobody has the wheel yet."""
    said, lock = load_release(SOURCES / "release.yaml"), load_lock(SOURCES / "release.lock")
    wanted = {
        (artifact.name, item.name): (
            dict(item.cmake),
            include_digests(dict(item.project_include), SOURCES),
            item.wheel_exclude,
            _own(item, SOURCES),
        )
        for artifact in said.artifacts
        for item in getattr(artifact, "compiled", ())
    }
    locked = {
        (r.artifact, r.name): (
            dict(r.cmake),
            dict(r.include_sha256),
            r.wheel_exclude,
            (r.project, r.project_sha256, r.package, r.package_folder),
        )
        for r in lock.compiled
    }
    assert wanted == locked
    assert locked
