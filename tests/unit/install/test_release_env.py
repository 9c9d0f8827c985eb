"""The environment's beginnings: which Python, and uv out of its own wheel."""

from __future__ import annotations

import os
import sys
import zipfile
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

import pytest

from airgap_bundle.digest import sha256
from airgap_bundle.errors import DigestMismatchError
from airgap_bundle.store import Artifact, StoredFile
from appliance.errors import DeploymentError, PreflightError
from appliance.install import release_env
from appliance.install.release_env import check_fits, choose_python, reachable_by_others, take_out_uv

if TYPE_CHECKING:
    from collections.abc import Iterator

CONFIG = {"python": ["3.11", "3.12"], "glibc": "2.36"}
BUILT = Artifact("runtime", "wheelhouse", "1", sha256(b"manifest"), CONFIG, {})


def wheel(folder: Path, name: str, members: dict[str, bytes]) -> StoredFile:
    path = folder / name
    with zipfile.ZipFile(path, "w") as archive:
        for member, data in members.items():
            archive.writestr(member, data)
    return StoredFile(sha256(path.read_bytes()), path.stat().st_size, "application/zip", path)


def test_uv_comes_out_of_its_wheel_executable(tmp_path: Path) -> None:
    name = "uv-0.1.2-py3-none-any.whl"
    file = wheel(tmp_path, name, {"uv-0.1.2.data/scripts/uv": b"#!", "../evil": b"x"})
    program = take_out_uv({name: file}, tmp_path / "uv")
    assert program.read_bytes() == b"#!"
    assert program.stat().st_mode & 0o777 == 0o755
    assert not (tmp_path.parent / "evil").exists()


@pytest.mark.parametrize("names", [(), ("uv-1-py3-none-any.whl", "uv-2-py3-none-any.whl")])
def test_anything_but_one_uv_is_refused(tmp_path: Path, names: tuple[str, ...]) -> None:
    with pytest.raises(DeploymentError, match="wheels of uv instead of one"):
        take_out_uv({name: wheel(tmp_path, name, {}) for name in names}, tmp_path / "uv")


def test_a_wheel_of_uv_that_no_signer_would_have_measured_is_refused(tmp_path: Path) -> None:
    name = "uv-1.whl"
    with pytest.raises(DeploymentError, match="no plain name of uv's wheel"):
        take_out_uv({name: wheel(tmp_path, name, {"uv-1.whl.data/scripts/uv": b"#!"})}, tmp_path / "uv")


def test_a_uv_wheel_without_the_program_is_refused(tmp_path: Path) -> None:
    name = "uv-1-py3-none-any.whl"
    with pytest.raises(DeploymentError, match="holds no uv program"):
        take_out_uv({name: wheel(tmp_path, name, {"uv/__init__.py": b""})}, tmp_path / "uv")


def test_a_uv_that_was_changed_in_the_store_is_not_taken_out(tmp_path: Path) -> None:
    name = "uv-0.1.2-py3-none-any.whl"
    file = wheel(tmp_path, name, {"uv-0.1.2.data/scripts/uv": b"#!"})
    wheel(tmp_path, name, {"uv-0.1.2.data/scripts/uv": b"#?"})
    with pytest.raises(DigestMismatchError, match="the store is damaged") as caught:
        take_out_uv({name: file}, tmp_path / "uv")
    assert caught.value.hint == "import the release again: that puts it right"
    assert not (tmp_path / "uv").exists()


@pytest.mark.parametrize(
    ("python", "glibc", "cause"),
    [
        ("3.14", (2, 40), r"serves CPython 3\.11, 3\.12; sovereign runs on 3\.14"),
        ("3.11", (2, 35), r"needs glibc 2\.36 or newer; this host has glibc 2\.35"),
        ("3.11", None, "this host has no glibc"),
    ],
)
def test_a_release_built_for_other_hosts_is_refused_before_the_first_step(
    python: str, glibc: tuple[int, int] | None, cause: str
) -> None:
    with pytest.raises(PreflightError, match=cause):
        check_fits(BUILT, python, glibc)


@pytest.mark.parametrize("python", ["3.11", "3.12"])
def test_a_release_serves_every_python_that_it_names(python: str) -> None:
    check_fits(BUILT, python, (2, 36))


def test_a_closed_folder_above_makes_a_file_unreachable(tmp_path: Path) -> None:
    inner = tmp_path / "inner"
    inner.mkdir()
    (inner / "f").touch(mode=0o644)
    inner.chmod(0o700)
    assert not reachable_by_others(inner / "f")
    assert reachable_by_others(Path("/usr/bin/env"))


def test_the_chosen_python_has_this_version_and_root_takes_one_all_can_reach() -> None:
    found = choose_python()
    assert found is not None
    assert found.name.startswith(f"python{sys.version_info.major}")
    assert os.geteuid() != 0 or reachable_by_others(found)


@pytest.fixture
def open_folder() -> Iterator[Path]:
    """A folder that every user may enter; those of pytest are closed."""
    with TemporaryDirectory() as folder:
        Path(folder).chmod(0o755)
        yield Path(folder)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root runs services as other users")
def test_a_python_whose_libraries_are_closed_to_service_users_is_passed_over(
    open_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    library = open_folder / "lib" / "libpython.so"
    library.parent.mkdir(mode=0o700)
    library.touch()
    python = open_folder / "python"
    python.write_text(f"#!/bin/sh\ncat {library}\n")
    python.chmod(0o755)
    assert reachable_by_others(python)
    monkeypatch.setattr(release_env, "candidate_pythons", lambda: (python,))
    assert choose_python() is None
    library.parent.chmod(0o755)
    library.chmod(0o644)
    assert choose_python() == python
