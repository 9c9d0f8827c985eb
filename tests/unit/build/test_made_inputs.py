"""Programs, packages and extended descriptions in a lock; carrying inputs between builders."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest
import yaml

from airgap_bundle.build.cache import BuildCache
from airgap_bundle.build.description import load_description
from airgap_bundle.build.golang.compilation import program_files
from airgap_bundle.build.golang.program_file import load_program
from airgap_bundle.build.input_archive import export_inputs, import_inputs
from airgap_bundle.build.recipe.program_supply import lock_programs
from airgap_bundle.build.stage import silent
from airgap_bundle.errors import BuildError, LockError
from airgap_bundle.lock import ReleaseLock, dump_lock, load_lock
from airgap_bundle.locked_packages import LockedPackage, PackageSet
from airgap_bundle.locked_program import LockedFile, LockedProgram

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

PACKAGE = LockedPackage("alpha", "1:1.0-1", "amd64", "alpha_1.0-1_amd64.deb", "ab" * 32, 3)
SET = PackageSet("tool", "bookworm", ("alpha",), ("beta",), (PACKAGE,))


def wrapper(root: Path, **settings: Any) -> Path:
    home = root / "go" / "tool"
    home.mkdir(parents=True)
    (home / "go.mod").write_text("module sovereign.invalid/tool\n\ngo 1.26.0\n\nrequire example.org/tool v1.2.3\n")
    (home / "go.sum").write_text("")
    (home / "main.go").write_text("package main\n\nfunc main() {}\n")
    value = {"schema": 1, "module": "example.org/tool", "licence": "MIT", "binaries": {"tool": {"package": "."}}}
    (home / "program.yaml").write_text(yaml.safe_dump(value | settings))
    return home


def locked(root: Path, cache: BuildCache) -> LockedProgram:
    source = load_program(root, "tool")
    kept = cache.add_bytes(b"an executable")
    files = {"tool": LockedFile(kept.sha256, kept.size)}
    return LockedProgram("tool", source.module, source.version, "go1.26.8", "", source.digest, files)


def test_a_lock_reads_back_as_it_was_written(tmp_path: Path) -> None:
    wrapper(tmp_path)
    program = locked(tmp_path, BuildCache(tmp_path / "cache"))
    lock = ReleaseLock("site", "1.0.0", programs=(program,), packages=(SET,))
    path = tmp_path / "site.lock"
    path.write_bytes(dump_lock(lock))
    assert load_lock(path) == lock
    assert sum("alpha_1.0-1_amd64.deb" in line for line in path.read_text().splitlines()) == 1


@pytest.mark.parametrize(
    ("section", "change", "said"),
    [
        ("packages", lambda value: value["packages"][0].update(version="1.0; rm"), "version"),
        ("packages", lambda value: value["packages"][0].update(architecture="mips"), "architecture"),
        ("packages", lambda value: value["packages"][0].update(file="../alpha.deb"), "unsafe name"),
        ("packages", lambda value: value["packages"].append(value["packages"][0]), "twice"),
        ("packages", lambda value: value.update(address="somewhere"), "other fields"),
        ("programs", lambda value: value.update(toolchain="clang"), "toolchain"),
        ("programs", lambda value: value["files"].update({"../x": value["files"]["tool"]}), "unsafe name"),
        ("programs", lambda value: value.update(files={}), "no files"),
    ],
)
def test_a_lock_that_was_edited_wrongly_is_refused(
    section: str, change: Callable[[dict[str, Any]], None], said: str, tmp_path: Path
) -> None:
    wrapper(tmp_path)
    program = locked(tmp_path, BuildCache(tmp_path / "cache"))
    value = json.loads(dump_lock(ReleaseLock("site", "1.0.0", programs=(program,), packages=(SET,))))
    change(value[section][0])
    path = tmp_path / "site.lock"
    path.write_text(json.dumps(value))
    with pytest.raises(LockError, match=said):
        load_lock(path)


def test_the_version_of_a_program_is_that_of_the_module_it_wraps(tmp_path: Path) -> None:
    wrapper(tmp_path)
    assert load_program(tmp_path, "tool").version == "v1.2.3"


@pytest.mark.parametrize("name", ["go.mod", "go.sum", "main.go", "program.yaml"])
def test_every_file_of_a_wrapper_is_a_source(name: str, tmp_path: Path) -> None:
    home = wrapper(tmp_path)
    before = load_program(tmp_path, "tool").digest
    (home / name).write_text((home / name).read_text() + "\n")
    assert load_program(tmp_path, "tool").digest != before


def test_a_link_among_the_sources_is_refused(tmp_path: Path) -> None:
    (wrapper(tmp_path) / "more.go").symlink_to("/etc/passwd")
    with pytest.raises(LockError, match="regular files"):
        load_program(tmp_path, "tool")


def test_a_locked_program_comes_from_the_cache_without_a_compiler(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    wrapper(tmp_path)
    cache = BuildCache(tmp_path / "cache")
    program = locked(tmp_path, cache)
    monkeypatch.setenv("PATH", "")
    monkeypatch.setattr("airgap_bundle.build.golang.go_client.INSTALLED", "")
    files = program_files(load_program(tmp_path, "tool"), program, cache, silent)
    assert files["tool"].path.read_bytes() == b"an executable"
    assert lock_programs(["tool"], tmp_path, {"tool": program}, cache, silent) == (program,)
    cache.forget(files["tool"].sha256)
    with pytest.raises(BuildError, match="no go"):
        program_files(load_program(tmp_path, "tool"), program, cache, silent)


def test_sources_that_changed_since_they_were_locked_are_not_built(tmp_path: Path) -> None:
    home = wrapper(tmp_path)
    cache = BuildCache(tmp_path / "cache")
    program = locked(tmp_path, cache)
    (home / "main.go").write_text("package main\n\nfunc main() { panic(1) }\n")
    with pytest.raises(BuildError, match="not what was locked"):
        program_files(load_program(tmp_path, "tool"), program, cache, silent)


def release(name: str, *artifacts: str, **more: object) -> dict[str, object]:
    head = {"schema": 1, "name": name, "version": "1.0.0", "number": 1, "min_release": 1}
    dates = {"support_until": "2030-01-31", "source_date": "2026-01-01"}
    listed = [{"kind": "policy", "name": artifact, "file": "policy.yaml"} for artifact in artifacts]
    return head | dates | {"artifacts": listed} | more


def write_pair(root: Path, **more: object) -> Path:
    (root / "base.yaml").write_text(yaml.safe_dump(release("base", "one")))
    (root / "more.yaml").write_text(yaml.safe_dump(release("more", "two", extends="base.yaml") | more))
    for name in ("base", "more"):
        packages = (replace(SET, artifact=name),)
        (root / f"{name}.lock").write_bytes(dump_lock(ReleaseLock(name, "1.0.0", packages=packages)))
    return root / "more.yaml"


def test_an_extension_has_what_it_extends_first_and_both_locks(tmp_path: Path) -> None:
    found = load_description(write_pair(tmp_path))
    assert [spec.name for spec in found.artifacts] == ["one", "two"]
    lock = found.lock()
    assert (lock.name, [item.artifact for item in lock.packages]) == ("more", ["base", "more"])


@pytest.mark.parametrize(
    ("more", "said"),
    [
        ({"source_date": "2026-01-02"}, "two source dates"),
        ({"artifacts": release("more", "one")["artifacts"]}, "both have one"),
        ({"extends": "more.yaml"}, "extends"),
        ({"extends": "../base.yaml"}, "should match pattern"),
    ],
)
def test_an_extension_that_contradicts_is_refused(more: dict[str, object], said: str, tmp_path: Path) -> None:
    with pytest.raises(LockError, match=said):
        load_description(write_pair(tmp_path, **more))


def test_a_lock_of_another_release_is_refused(tmp_path: Path) -> None:
    path = write_pair(tmp_path)
    (tmp_path / "base.lock").write_bytes(dump_lock(ReleaseLock("base", "0.9.0")))
    with pytest.raises(LockError, match=r"base\.lock is of base 0\.9\.0"):
        load_description(path).lock()


def filled(root: Path) -> tuple[ReleaseLock, BuildCache]:
    cache = BuildCache(root / "cache")
    kept = cache.add_bytes(b"deb")
    packages = replace(SET, packages=(replace(PACKAGE, sha256=kept.sha256, size=kept.size),))
    wrapper(root)
    return ReleaseLock("site", "1.0.0", programs=(locked(root, cache),), packages=(packages,)), cache


def test_inputs_go_from_one_builder_to_another(tmp_path: Path) -> None:
    lock, cache = filled(tmp_path)
    carried = export_inputs(lock, cache, tmp_path / "stick", silent)
    assert (carried.files, carried.present) == (2, 0)
    other = BuildCache(tmp_path / "other")
    assert import_inputs(tmp_path / "stick", other, silent).files == 2
    assert import_inputs(tmp_path / "stick", other, silent).present == 2
    assert export_inputs(lock, other, tmp_path / "again", silent).files == 2


def test_half_an_archive_is_not_begun(tmp_path: Path) -> None:
    lock, cache = filled(tmp_path)
    cache.forget(lock.packages[0].packages[0].sha256)
    with pytest.raises(LockError, match=r"lacks 1 of 2 inputs, alpha_1\.0-1_amd64\.deb first"):
        export_inputs(lock, cache, tmp_path / "stick", silent)
    assert not (tmp_path / "stick").exists()


def test_a_file_that_was_changed_on_the_way_does_not_enter_the_cache(tmp_path: Path) -> None:
    lock, cache = filled(tmp_path)
    export_inputs(lock, cache, tmp_path / "stick", silent)
    victim = BuildCache(tmp_path / "stick").path(lock.packages[0].packages[0].sha256)
    victim.chmod(0o644)
    victim.write_bytes(b"bad")
    other = BuildCache(tmp_path / "other")
    with pytest.raises(BuildError, match="other bytes"):
        import_inputs(tmp_path / "stick", other, silent)
    names = {path.name for path in (tmp_path / "other" / "inputs" / "sha256").iterdir()}
    assert names <= {item.sha256 for item in lock.programs[0].files.values()}
