"""What lies around the script: the caller's environment, the folder it is started in, odd paths, signers' odd words."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from functools import cache
from importlib.metadata import distribution
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from airgap_bundle.digest import sha256
from airgap_bundle.first_contact import card, record
from tests.bundles import archive, tree
from tests.first_contact import SIGNED, bundle, sign_text

if TYPE_CHECKING:
    from tests.first_contact import Desk

TOOLS = ("openssl", "sha256sum", "basenc", "head", "sed", "python3", "env", "cmp", "mkdir", "rm", "uname", "uv")
MODULES = ("zipfile.py", "shutil.py", "sitecustomize.py", "usercustomize.py", "encodings.py", "sys.py")


def lay_traps(folder: Path, mark: Path) -> None:
    """Programs and modules that leave ``mark`` when anybody runs or imports them."""
    for name in TOOLS:
        (folder / name).write_text(f"#!/bin/sh\n: > '{mark}'\nexit 0\n")
        (folder / name).chmod(0o755)
    for name in MODULES:
        (folder / name).write_text(f"open({str(mark)!r}, 'w').close()\n")


def test_nothing_on_the_medium_runs_although_the_script_is_started_there(
    tmp_path: Path, desk: Desk, medium: Path
) -> None:
    """The medium stands first in PATH and PYTHONPATH; programs, modules and start files wait there."""
    mark = tmp_path / "owned"
    lay_traps(medium, mark)
    (medium / "start").write_text(f": > '{mark}'\n")
    (medium / "openssl.cnf").write_text("openssl_conf = evil\n[evil]\nproviders = evil\n[providers]\n")
    hostile = {
        "PATH": f"{medium}:.:{os.environ['PATH']}",
        "PYTHONPATH": str(medium),
        "PYTHONSTARTUP": str(medium / "zipfile.py"),
        "PYTHONHOME": str(medium),
        "ENV": str(medium / "start"),
        "OPENSSL_CONF": str(medium / "openssl.cnf"),
        "OPENSSL_MODULES": str(medium),
        "UV_CONFIG_FILE": str(medium / "start"),
        "UV_INDEX_URL": "https://attacker.example/",
        "CDPATH": str(medium),
        "IFS": "0/",
        "LC_ALL": "tr_TR.UTF-8",
        "POSIXLY_CORRECT": "1",
        "tools": "/nowhere",
        "python": str(medium / "python3"),
    }
    done = desk.run(medium, cwd=medium, env=hostile)
    assert done.returncode == 0, done.stderr
    assert not mark.exists()


def test_with_every_trap_laid_a_wrong_signature_is_still_refused(tmp_path: Path, desk: Desk, medium: Path) -> None:
    lay_traps(medium, tmp_path / "owned")
    (medium / record.FILE).write_bytes(b"format 1\n")
    desk.refuses(medium, "is not valid", env={"PATH": f"{medium}:{os.environ['PATH']}"})
    assert not (tmp_path / "owned").exists()


@pytest.mark.parametrize(
    "name", ["a b", "-n", "--", "*", "$(touch owned)", "`id`", "a'b", 'a"b', "a\nb", "a;b", "ä", "\\c"]
)
def test_a_path_with_an_odd_name_is_a_name_and_nothing_else(
    tmp_path: Path, desk: Desk, medium: Path, name: str
) -> None:
    odd = shutil.move(medium, tmp_path / name)
    desk.folder = tmp_path / f"{name}.desk"
    desk.folder.mkdir()
    before = sorted(path.name for path in tmp_path.iterdir())
    done = desk.run(name, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert done.stdout == f"{desk.tools}/env/bin/sovereign\n"
    assert sorted(path.name for path in tmp_path.iterdir()) == before
    Path(odd, record.FILE).write_bytes(b"format 1\n")
    shutil.rmtree(desk.tools)
    desk.refuses(tmp_path / name, "is not valid")


WORDS = {
    "a name that climbs": "wheelhouse {digest} 7 ../a-1-py3-none-any.whl",
    "an absolute name": "wheelhouse {digest} 7 /tmp/a-1-py3-none-any.whl",
    "a name that is an option": "wheelhouse {digest} 7 -n",
    "a name with a space": "wheelhouse {digest} 7 a b.whl",
    "a name with a backslash": "wheelhouse {digest} 7 a\\nb.whl",
    "a name that is a command": "wheelhouse {digest} 7 $(touch${{IFS}}owned).whl",
    "no name": "wheelhouse {digest} 7 ",
    "a digest that is a path": "wheelhouse ../../release.json 7 a-1-py3-none-any.whl",
    "a short digest": "wheelhouse {digest:.63} 7 a-1-py3-none-any.whl",
    "an octal size": "wheelhouse {digest} 07 a-1-py3-none-any.whl",
    "a negative size": "wheelhouse {digest} -7 a-1-py3-none-any.whl",
    "a size that is an expression": "wheelhouse {digest} 7+PATH a-1-py3-none-any.whl",
    "a size beyond all disks": "wheelhouse {digest} 9999999999999 a-1-py3-none-any.whl",
}


@pytest.mark.parametrize("line", WORDS.values(), ids=WORDS)
def test_even_signers_cannot_say_more_than_names_and_numbers(desk: Desk, medium: Path, line: str) -> None:
    digest = sha256(b"a wheel").hex
    text = (medium / record.FILE).read_text()
    lines = [line.format(digest=digest) if "a-1-py3" in old else old for old in text.splitlines()]
    sign_text(medium, ("\n".join(lines) + "\n").encode(), *SIGNED)
    desk.refuses(medium, "a line of FIRST-CONTACT is malformed")


def test_a_format_that_the_script_does_not_know_is_refused(desk: Desk, medium: Path) -> None:
    sign_text(medium, (medium / record.FILE).read_bytes().replace(b"format 1", b"format 2"), *SIGNED)
    desk.refuses(medium, "of another format")


def host_with(folder: Path, desk: Desk, **programs: str) -> None:
    """The desk's host has ``programs`` (their shell code) in place of its own; "" takes one away."""
    folder.mkdir()
    for place in ("/usr/bin", "/bin"):
        for found in Path(place).iterdir():
            if found.name not in programs and not (folder / found.name).is_symlink():
                (folder / found.name).symlink_to(found)
    for name, code in programs.items():
        if code:
            (folder / name).write_text(f"#!/bin/sh\n{code}\n")
            (folder / name).chmod(0o755)
    path = b"PATH=/usr/sbin:/usr/bin:/sbin:/bin"
    assert path in desk.script
    desk.script = desk.script.replace(path, f"PATH={folder}".encode())


OLD_PYTHON = {"python3": "echo cpython False", "python3.11": "", "python3.12": "", "python3.13": "exit 1"}
HOSTS = {
    "no openssl": ({"openssl": ""}, "OpenSSL 3 is not on this host"),
    "openssl 1.1.1": ({"openssl": "echo OpenSSL 1.1.1w  11 Sep 2023"}, "OpenSSL 3 is not on this host"),
    "libressl": ({"openssl": "echo LibreSSL 3.8.2"}, "OpenSSL 3 is not on this host"),
    "no fitting python": (OLD_PYTHON, "CPython 3.11 to 3.13 is not on this host"),
    "another machine": ({"uname": "echo aarch64"}, "the release is for x86_64"),
    "an old glibc": ({"getconf": "echo glibc 2.17"}, "the release needs glibc 2.28"),
    "no glibc": ({"getconf": "exit 1"}, "the release needs glibc 2.28"),
}


@pytest.mark.parametrize(("programs", "cause"), HOSTS.values(), ids=HOSTS)
def test_a_host_below_the_floor_is_told_what_it_lacks(
    tmp_path: Path, desk: Desk, medium: Path, programs: dict[str, str], cause: str
) -> None:
    host_with(tmp_path / "bin", desk, **programs)
    desk.refuses(medium, cause)


def test_a_glibc_of_two_digits_is_newer_than_one_of_one(tmp_path: Path, desk: Desk, medium: Path) -> None:
    host_with(tmp_path / "bin", desk, getconf="echo glibc 2.100")
    assert desk.run(medium).returncode == 0


def test_an_interpreter_may_be_named_and_is_refused_when_it_does_not_fit(desk: Desk, medium: Path) -> None:
    for name in ("/bin/true", "/bin/false", "/nowhere/python3", "-c"):
        desk.refuses(medium, f"{name} is not CPython 3.11 to 3.13", name)
    assert f"environment for {sys.executable}" in desk.run(medium, sys.executable).stderr


@pytest.mark.parametrize("shell", ["dash", "bash"])
def test_any_posix_shell_runs_it(desk: Desk, medium: Path, shell: str) -> None:
    desk.shell = shell
    assert desk.run(medium).returncode == 0
    shutil.rmtree(desk.tools)
    (medium / record.FILE).write_bytes(b"format 1\n")
    desk.refuses(medium, "is not valid")


@pytest.mark.parametrize("arguments", [[], ["card"], ["card", "bundle"], ["card", "bundle", "tools", "python", "more"]])
def test_the_wrong_number_of_arguments_is_a_mistake_of_use(tmp_path: Path, desk: Desk, arguments: list[str]) -> None:
    before = tree(tmp_path)
    done = subprocess.run(
        ["sh", "-s", "--", *arguments], input=desk.script, cwd=tmp_path, capture_output=True, check=False
    )
    assert done.returncode == 2
    assert done.stderr.startswith(b"usage: ")
    assert tree(tmp_path) == before


def test_the_script_is_short_and_shellcheck_finds_nothing() -> None:
    text = card.script()
    assert len(text.splitlines()) <= 120
    assert max(map(len, text.splitlines())) <= 120
    assert text.isascii()
    shellcheck = shutil.which("shellcheck")
    if shellcheck is None:
        pytest.skip("shellcheck is not installed; scripts/system-packages does")
    done = subprocess.run([shellcheck, "--shell=sh", "-"], input=text, capture_output=True, check=False)
    assert done.stdout == b""
    assert done.returncode == 0


@cache
def real_uv() -> tuple[str, bytes]:
    """The installed uv, put back into a wheel as it is delivered."""
    found = distribution("uv")
    described, members = f"uv-{found.version}.dist-info", {}
    for file in found.files or ():
        if file.name == "uv" and ".." in file.parts:
            members[f"uv-{found.version}.data/scripts/uv"] = file.read_binary()
        elif file.name in ("METADATA", "WHEEL"):
            members[str(file)] = file.read_binary()
    members[f"{described}/RECORD"] = "".join(f"{name},,\n" for name in (*members, f"{described}/RECORD")).encode()
    return f"uv-{found.version}-py3-none-any.whl", archive(members)


def tiny_wheel(version: str) -> tuple[str, bytes]:
    """A wheel whose command `sovereign` says what it was asked."""
    described = f"sovereign-{version}.dist-info"
    members: dict[str, str | bytes] = {
        "hello.py": "import sys\n\n\ndef main() -> None:\n    print('the signed wheel', *sys.argv[1:3])\n",
        f"{described}/METADATA": f"Metadata-Version: 2.1\nName: sovereign\nVersion: {version}\n",
        f"{described}/WHEEL": "Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
        f"{described}/entry_points.txt": "[console_scripts]\nsovereign = hello:main\n",
    }
    record_file = "".join(f"{name},,\n" for name in (*members, f"{described}/RECORD"))
    return f"sovereign-{version}-py3-none-any.whl", archive({**members, f"{described}/RECORD": record_file})


def test_the_real_uv_makes_the_environment_from_the_copies_alone(tmp_path: Path, desk: Desk) -> None:
    name, data = tiny_wheel("1.0.0")
    listed = f"sovereign==1.0.0 --hash=sha256:{'0' * 64} --hash={sha256(data)}\n".encode()
    medium = bundle(tmp_path / "bundle", dict([real_uv(), (name, data), ("requirements.txt", listed)]))
    (medium / "uv.toml").write_text("no = toml = at all")
    done = desk.run(medium, cwd=medium, env={"UV_INDEX_URL": "https://attacker.example/", "VIRTUAL_ENV": "/nowhere"})
    assert done.returncode == 0, done.stderr
    assert "the signed wheel bundle verify" in done.stderr
    assert [path.name for path in desk.tools.iterdir()] == ["env"]
    command = desk.tools / "env/bin/sovereign"
    assert done.stdout == f"{command}\n"
    said = subprocess.run([command, "--version"], capture_output=True, text=True, check=True)
    assert said.stdout == "the signed wheel --version\n"


def test_a_wheel_that_the_hash_list_does_not_name_is_not_installed(tmp_path: Path, desk: Desk) -> None:
    name, data = tiny_wheel("1.0.0")
    listed = f"sovereign==1.0.0 --hash=sha256:{'0' * 64}\n".encode()
    medium = bundle(tmp_path / "bundle", dict([real_uv(), (name, data), ("requirements.txt", listed)]))
    desk.refuses(medium, "the environment cannot be made")
