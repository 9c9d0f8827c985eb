"""The environment's beginnings: which Python, and uv out of its own wheel."""

from __future__ import annotations

import os
import sys
import zipfile
from pathlib import Path

import pytest

from appliance.errors import DeploymentError
from appliance.install.release_env import choose_python, reachable_by_others, take_out_uv


def wheel(folder: Path, name: str, members: dict[str, bytes]) -> None:
    with zipfile.ZipFile(folder / name, "w") as archive:
        for member, data in members.items():
            archive.writestr(member, data)


def test_uv_comes_out_of_its_wheel_executable(tmp_path: Path) -> None:
    wheel(tmp_path, "uv-0.1.2-py3-none-any.whl", {"uv-0.1.2.data/scripts/uv": b"#!", "../evil": b"x"})
    program = take_out_uv(tmp_path, tmp_path / "uv")
    assert program.read_bytes() == b"#!"
    assert program.stat().st_mode & 0o777 == 0o755
    assert not (tmp_path.parent / "evil").exists()


@pytest.mark.parametrize("names", [(), ("uv-1-py3-none-any.whl", "uv-2-py3-none-any.whl")])
def test_anything_but_one_uv_is_refused(tmp_path: Path, names: tuple[str, ...]) -> None:
    for name in names:
        wheel(tmp_path, name, {})
    with pytest.raises(DeploymentError, match="uv wheels instead of one"):
        take_out_uv(tmp_path, tmp_path / "uv")


def test_a_uv_wheel_without_the_program_is_refused(tmp_path: Path) -> None:
    wheel(tmp_path, "uv-1-py3-none-any.whl", {"uv/__init__.py": b""})
    with pytest.raises(DeploymentError, match="holds no uv program"):
        take_out_uv(tmp_path, tmp_path / "uv")


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
