"""The first-contact script: what it refuses to be made of, and what it does with hostile media and folders."""

from __future__ import annotations

import io
import os
import subprocess
import zipfile
from importlib.metadata import distribution
from typing import TYPE_CHECKING

import pytest

from airgap_bundle import first_contact, strict_json
from airgap_bundle.descriptor import INDEX_TYPE, TITLE, artifact_type
from airgap_bundle.digest import sha256
from airgap_bundle.errors import BundleError, FormatError
from tests.bundles import blob, blob_file, manifest, tree

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from pathlib import Path

UV = "uv-0.0.1-py3-none-any.whl"
SOVEREIGN = "sovereign-1.0.0-py3-none-any.whl"


def wheelhouse(folder: Path, wheels: Iterable[tuple[str, bytes]], kind: str = "wheelhouse") -> Path:
    """An unsigned bundle: one artifact that holds ``wheels``."""
    (folder / "blobs/sha256").mkdir(parents=True)
    config = blob(folder, b"{}", "application/json")
    layers = [blob(folder, data, "application/octet-stream", {TITLE: name}) for name, data in wheels]
    found = manifest(folder, "wheels", artifact_type(kind), config, layers)
    index = {"schemaVersion": 2, "mediaType": INDEX_TYPE, "manifests": [found.to_json()]}
    (folder / "index.json").write_bytes(strict_json.dumps(index))
    return folder


def archive(members: Mapping[str, str | bytes]) -> bytes:
    data = io.BytesIO()
    with zipfile.ZipFile(data, "w") as out:
        for name, content in members.items():
            out.writestr(name, content)
    return data.getvalue()


def tiny_wheel() -> bytes:
    """A wheel whose command `sovereign` says who it is."""
    described = "sovereign-1.0.0.dist-info"
    members: dict[str, str | bytes] = {
        "hello.py": "def main() -> None:\n    print('the signed wheel')\n",
        f"{described}/METADATA": "Metadata-Version: 2.1\nName: sovereign\nVersion: 1.0.0\n",
        f"{described}/WHEEL": "Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
        f"{described}/entry_points.txt": "[console_scripts]\nsovereign = hello:main\n",
    }
    record = "".join(f"{name},,\n" for name in (*members, f"{described}/RECORD"))
    return archive({**members, f"{described}/RECORD": record})


def real_uv() -> tuple[str, bytes]:
    """The installed uv, put back into a wheel as it is delivered."""
    found = distribution("uv")
    described, members = f"uv-{found.version}.dist-info", {}
    for file in found.files or ():
        if file.name == "uv" and ".." in file.parts:
            members[f"uv-{found.version}.data/scripts/uv"] = file.read_binary()
        elif file.parts[0] == "uv" or file.name in ("METADATA", "WHEEL"):
            members[str(file)] = file.read_binary()
    members[f"{described}/RECORD"] = "".join(f"{name},,\n" for name in (*members, f"{described}/RECORD")).encode()
    return f"uv-{found.version}-py3-none-any.whl", archive(members)


def contact(
    bundle: Path, script: str, destination: Path, *, cwd: Path, more: dict[str, str] | None = None
) -> subprocess.CompletedProcess[str]:
    """Run ``script`` as an operator does."""
    env = {"PATH": os.environ["PATH"], "HOME": str(cwd), **(more or {})}
    argv = ["sh", "-s", "--", str(bundle), str(destination)]
    return subprocess.run(argv, input=script, cwd=cwd, env=env, capture_output=True, text=True, check=False)


def entries(folder: Path) -> list[tuple[str, int, int]]:
    """What lies in ``folder``, links not followed."""
    found = [(path.name, path.lstat().st_ino, path.lstat().st_mtime_ns) for path in folder.iterdir()]
    return sorted([*found, *((path.name, 0, 0) for path in (folder / "others").glob("*"))])


@pytest.fixture
def bundle(tmp_path: Path) -> Path:
    return wheelhouse(tmp_path / "bundle", [(UV, b"no zip at all"), (SOVEREIGN, tiny_wheel())])


@pytest.mark.parametrize(
    "name",
    [
        "a b-1.0-py3-none-any.whl",
        "$(reboot)-1.0-py3-none-any.whl",
        "`reboot`-1.0-py3-none-any.whl",
        "-rf-1.0-py3-none-any.whl",
        "a;reboot-1.0-py3-none-any.whl",
        "a'-1.0-py3-none-any.whl",
        "é-1.0-py3-none-any.whl",
        "noversion.whl",
        ".whl",
        "../../etc/cron.d/a-1.0-py3-none-any.whl",
        "a-1.0-py3-none-any.whl\nLIST\nreboot\n.whl",
        "a-1.0-py3-none-any\\n.whl",
    ],
)
def test_a_name_that_is_no_plain_wheel_name_never_gets_into_a_script(tmp_path: Path, name: str) -> None:
    hostile = wheelhouse(tmp_path / "bundle", [(UV, b"uv"), (name, b"x")])
    with pytest.raises(BundleError):
        first_contact.script(hostile)


def test_one_name_for_two_wheels_is_refused(tmp_path: Path) -> None:
    hostile = wheelhouse(
        tmp_path / "bundle", [(UV, b"uv"), (SOVEREIGN, b"one"), (SOVEREIGN.upper()[:-3] + "whl", b"2")]
    )
    with pytest.raises(BundleError, match="one file"):
        first_contact.script(hostile)


@pytest.mark.parametrize("wheels", [[(SOVEREIGN, b"x")], [(UV, b"1"), ("uv-0.0.2-py3-none-any.whl", b"2")]])
def test_a_wheelhouse_without_exactly_one_uv_makes_no_script(tmp_path: Path, wheels: list[tuple[str, bytes]]) -> None:
    with pytest.raises(FormatError, match="uv"):
        first_contact.script(wheelhouse(tmp_path / "bundle", wheels))


def test_a_bundle_without_wheelhouse_makes_no_script(tmp_path: Path) -> None:
    with pytest.raises(FormatError, match="no wheelhouse"):
        first_contact.script(wheelhouse(tmp_path / "bundle", [(UV, b"uv")], kind="policy"))


def test_a_manifest_that_was_changed_makes_no_script(bundle: Path) -> None:
    for path in (bundle / "blobs/sha256").iterdir():
        if b"layers" in path.read_bytes():
            path.write_bytes(path.read_bytes().replace(b"sovereign-1", b"sovereign-2"))
    with pytest.raises(BundleError, match="other bytes"):
        first_contact.script(bundle)


@pytest.mark.parametrize("python", ["3.11; reboot", "3.11\n", "", "2.7"])
def test_only_a_version_of_python_3_gets_into_a_script(bundle: Path, python: str) -> None:
    with pytest.raises(FormatError):
        first_contact.script(bundle, python=python)


def test_wheels_that_only_services_need_are_left_out(tmp_path: Path) -> None:
    large = "numpy-2.0-cp311-cp311-linux_x86_64.whl"
    text = first_contact.script(
        wheelhouse(tmp_path / "bundle", [(UV, b"uv"), (large, b"n"), ("requirements.txt", b"")])
    )
    assert f"{sha256(b'uv').hex} 2 {UV}\n" in text
    assert large not in text
    assert "requirements.txt" not in text


@pytest.mark.parametrize("damage", ["flip", "grow", "shrink", "remove", "link", "fifo", "endless"])
def test_a_wheel_that_is_not_the_announced_one_is_refused_and_nothing_is_left(
    tmp_path: Path, bundle: Path, damage: str
) -> None:
    text = first_contact.script(bundle)
    victim = blob_file(bundle, sha256(tiny_wheel()))
    data = victim.read_bytes()
    victim.unlink()
    match damage:
        case "flip":
            victim.write_bytes(data[:-1] + bytes([data[-1] ^ 1]))
        case "grow":
            victim.write_bytes(data + b"\n")
        case "shrink":
            victim.write_bytes(data[:-1])
        case "link":
            (tmp_path / "elsewhere").write_bytes(data)
            victim.symlink_to(tmp_path / "elsewhere")
        case "fifo":
            os.mkfifo(victim)
        case "endless":
            with victim.open("wb") as out:
                out.truncate(1 << 42)
    before = tree(tmp_path) if damage not in ("fifo", "endless") else None
    done = contact(bundle, text, tmp_path / "tools", cwd=tmp_path)
    assert done.returncode == 3, done.stderr
    assert "error: " in done.stderr
    assert done.stdout == ""
    assert not os.path.lexists(tmp_path / "tools")
    assert before is None or tree(tmp_path) == before


@pytest.mark.parametrize("there", ["folder", "file", "link to a folder", "dangling link"])
def test_a_destination_that_exists_is_refused_and_left_alone(tmp_path: Path, bundle: Path, there: str) -> None:
    destination, others = tmp_path / "tools", tmp_path / "others"
    others.mkdir()
    match there:
        case "folder":
            destination.mkdir()
        case "file":
            destination.write_text("mine")
        case "link to a folder":
            destination.symlink_to(others)
        case _:
            destination.symlink_to(tmp_path / "nowhere")
    before = entries(tmp_path)
    done = contact(bundle, first_contact.script(bundle), destination, cwd=tmp_path)
    assert done.returncode == 3
    assert "cannot be made" in done.stderr
    assert entries(tmp_path) == before


def test_a_folder_laid_ready_under_a_guessable_name_is_neither_used_nor_removed(tmp_path: Path, bundle: Path) -> None:
    for name in ("tools.partial", "tools.partial.list"):
        (tmp_path / name).symlink_to(tmp_path / "bundle")
    before = tree(tmp_path)
    assert contact(bundle, first_contact.script(bundle), tmp_path / "tools", cwd=tmp_path).returncode != 0
    assert tree(tmp_path) == before


@pytest.mark.parametrize("destination", ["-rf", "a b", "$(touch owned)", "a'b", 'a"b'])
def test_a_destination_with_an_odd_name_is_a_name_and_nothing_else(
    tmp_path: Path, bundle: Path, destination: str
) -> None:
    victim = blob_file(bundle, sha256(tiny_wheel()))
    text = first_contact.script(bundle)
    victim.write_bytes(b"changed")
    before = tree(tmp_path)
    argv = ["sh", "-s", "--", "bundle", destination]
    done = subprocess.run(argv, input=text, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 3
    assert "not the one that was signed" in done.stderr
    assert tree(tmp_path) == before


def test_nothing_on_the_medium_runs_although_the_script_is_started_there(tmp_path: Path) -> None:
    """`python -m` takes modules from the working folder first; a medium may carry a zipfile.py."""
    name, data = real_uv()
    bundle = wheelhouse(tmp_path / "bundle", [(name, data), (SOVEREIGN, tiny_wheel())])
    text = first_contact.script(bundle)
    mark = tmp_path / "owned"
    for module in ("zipfile.py", "shutil.py", "sitecustomize.py", "encodings.py"):
        (bundle / module).write_text(f"open({str(mark)!r}, 'w').close()\n")
    (bundle / "uv.toml").write_text("no = toml = at all")
    done = contact(bundle, text, tmp_path / "tools", cwd=bundle, more={"PYTHONPATH": ""})
    assert done.returncode == 0, done.stderr
    assert not mark.exists()
    command = tmp_path / "tools/env/bin/sovereign"
    assert done.stdout == f"{command}\n"
    assert sorted(path.name for path in (tmp_path / "tools").iterdir()) == ["env"]
    said = subprocess.run([str(command)], capture_output=True, text=True, check=True)
    assert said.stdout == "the signed wheel\n"
