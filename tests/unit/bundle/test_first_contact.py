"""First contact's parts: the text, uv inside its wheel, the signatures, the card and how it is read out."""

from __future__ import annotations

import contextlib
import io
import json
import subprocess
import zipfile
from typing import TYPE_CHECKING

import pytest
import typer
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from typer.testing import CliRunner

from airgap_bundle.digest import sha256
from airgap_bundle.errors import FormatError, RootPolicyError, UnsignedError
from airgap_bundle.first_contact import card, program, record, signatures
from airgap_bundle.metadata import parse_root
from airgap_bundle.sign import sign_root
from appliance.cli import trust_card
from appliance.errors import UsageError
from tests.bundles import (
    UV,
    WHEELS,
    Draft,
    archive,
    make,
    people,
    root_bytes,
    second_root,
    sign,
    signer,
    unsigned_root,
    uv_wheel,
)

if TYPE_CHECKING:
    from pathlib import Path

NAME = "uv-0.13.9-py3-none-manylinux_2_17_x86_64.manylinux2014_x86_64.whl"


def test_the_text_says_what_a_new_host_must_know_and_nothing_else(tmp_path: Path) -> None:
    bundle = make(tmp_path / "bundle", version="1.2.3", number=7)
    uv, listing = WHEELS[UV], WHEELS["requirements.txt"]
    inside = b"#!/bin/sh\nexit 1\n"
    assert (bundle / record.FILE).read_text().splitlines() == [
        "format 1",
        "glibc 2.28",
        f"index {sha256((bundle / 'index.json').read_bytes())}",
        "machine x86_64",
        f"release {sha256((bundle / 'release.json').read_bytes())}",
        "release-name sovereign",
        "release-number 7",
        "release-version 1.2.3",
        f"root {sha256(root_bytes())}",
        "root-version 1",
        f"uv {sha256(inside).hex} {len(inside)}",
        f"wheelhouse {sha256(listing).hex} {len(listing)} requirements.txt",
        f"wheelhouse {sha256(uv).hex} {len(uv)} {UV}",
    ]


def test_its_lines_ascend_and_end_with_one_newline(tmp_path: Path) -> None:
    data = (make(tmp_path / "bundle") / record.FILE).read_bytes()
    lines = data.split(b"\n")
    assert lines[-1] == b""
    assert lines[:-1] == sorted(lines[:-1], key=lambda line: line.split(b" ")[0])
    assert data.isascii()


def test_the_first_person_makes_the_text_and_the_next_one_leaves_it(tmp_path: Path) -> None:
    bundle = sign(Draft().write(tmp_path / "bundle"), "builder")
    text = (bundle / record.FILE).read_bytes()
    sign(bundle, "architect")
    assert (bundle / record.FILE).read_bytes() == text
    assert sorted(path.name for path in (bundle / signatures.FOLDER).iterdir()) == [
        "architect.ed25519",
        "builder.ed25519",
    ]


def test_the_text_names_the_root_in_force(tmp_path: Path) -> None:
    bundle = Draft().write(tmp_path / "bundle")
    sign(bundle, "architect", "deputy", "release-2", roots={1: root_bytes(), 2: second_root()})
    text = (bundle / record.FILE).read_text()
    assert f"root {sha256(second_root())}\nroot-version 2\n" in text


def test_a_signature_is_64_raw_bytes_over_the_prefix_and_the_text(tmp_path: Path) -> None:
    bundle = make(tmp_path / "bundle")
    raw = (bundle / "FIRST-CONTACT.sig/architect.ed25519").read_bytes()
    assert len(raw) == 64
    key = Ed25519PublicKey.from_public_bytes(bytes.fromhex(signer("architect").public.ed25519.keyval["public"]))
    key.verify(raw, b"sovereign first contact v1\n" + (bundle / "FIRST-CONTACT").read_bytes())


def test_a_difference_names_its_line() -> None:
    assert record.difference(b"a\nb\n", b"a\nc\n") == "line 2 is 'b', not 'c'"
    assert record.difference(b"a\n", b"a\nc\n") == "line 2 is '', not 'c'"
    assert record.difference(b"a\nb\nc\n", b"a\n") == "line 2 is 'b', not ''"


def test_the_program_is_measured_inside_its_wheel() -> None:
    wheel = archive({"uv-0.13.9.data/scripts/uv": b"x" * 3_000_000, "uv/__init__.py": b""})
    assert program.measure(io.BytesIO(wheel), NAME) == program.Program(sha256(b"x" * 3_000_000), 3_000_000)


def test_a_wheel_with_two_programs_is_refused() -> None:
    data = io.BytesIO()
    with zipfile.ZipFile(data, "w") as out:
        out.writestr("uv-0.13.9.data/scripts/uv", b"one")
        with pytest.warns(UserWarning, match="Duplicate name"):
            out.writestr("uv-0.13.9.data/scripts/uv", b"two")
    with pytest.raises(FormatError, match="holds 2 programs"):
        program.measure(data, NAME)


def test_a_wheel_with_damaged_bytes_is_refused() -> None:
    wheel = bytearray(uv_wheel(b"x" * 500))
    wheel[300] ^= 1
    with pytest.raises(FormatError, match="no wheel that can be read"):
        program.measure(io.BytesIO(bytes(wheel)), UV)


@pytest.mark.parametrize("method", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
def test_a_wheel_with_any_damaged_byte_is_refused_or_measured(method: int) -> None:
    """Each part of the archive fails in its own way; none of them ends the ceremony with a defect."""
    data = io.BytesIO()
    with zipfile.ZipFile(data, "w", method) as out:
        out.writestr(program.member(NAME), b"x" * 500)
    for place in range(len(data.getvalue())):
        for flipped in (0x80, 0xFF):
            wheel = bytearray(data.getvalue())
            wheel[place] ^= flipped
            with contextlib.suppress(FormatError):
                program.measure(io.BytesIO(bytes(wheel)), NAME)


def test_a_program_without_end_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(program, "MAX_PROGRAM_BYTES", 1000)
    with pytest.raises(FormatError, match="exceeds 1000 bytes"):
        program.measure(io.BytesIO(uv_wheel(b"x" * 1001)), UV)


@pytest.mark.parametrize(
    "name", ["uv-1.whl", "uv-../../x-py3-none-any.whl", "uv-0.1-py3-none-any.whl\n", "uv--py3-none-any.whl"]
)
def test_only_a_plain_name_is_uvs_wheel(name: str) -> None:
    with pytest.raises(FormatError, match="no plain name"):
        program.member(name)


@pytest.mark.parametrize("names", [[], ["uvicorn-1-py3-none-any.whl"], [UV, NAME]])
def test_a_wheelhouse_has_exactly_one_uv(names: list[str]) -> None:
    with pytest.raises(FormatError, match="instead of one"):
        program.wheel_name(names)


def test_the_card_names_script_root_threshold_and_keys() -> None:
    keys = [
        f"key {name} {signer(name).public.ed25519.keyval['public']}" for name in ("architect", "builder", "custodian")
    ]
    assert card.of_root(root_bytes()).to_bytes().decode().splitlines() == [
        "sovereign site start v1",
        f"{sha256(card.script()).hex}  first-contact.sh",
        f"root {sha256(root_bytes())}",
        "threshold 2",
        *keys,
    ]


def test_a_card_is_made_of_a_sound_root_only() -> None:
    unsigned = unsigned_root().to_bytes()
    with pytest.raises(UnsignedError):
        card.of_root(unsigned)
    root = parse_root(root_bytes())
    root.signed.roles["targets"].threshold = 3
    with pytest.raises(RootPolicyError):
        card.of_root(root.to_bytes())
    with pytest.raises(FormatError):
        card.of_root(b"{}")
    assert card.of_root(sign_root(unsigned_root(threshold=1), people("architect"))).threshold == 1


def test_a_digest_is_read_out_in_groups_of_four_with_a_word_for_every_digit() -> None:
    groups = card.spoken("0123456789abcdef" * 4)
    assert len(groups) == 16
    assert groups[0] == ("0123", "zero one two three")
    assert groups[1] == ("4567", "four five six seven")
    assert groups[2] == ("89ab", "eight nine alfa bravo")
    assert groups[3] == ("cdef", "charlie delta echo foxtrot")


def run_card(*arguments: object) -> str:
    app = typer.Typer()
    trust_card.register(app)
    result = CliRunner().invoke(app, [str(argument) for argument in arguments], catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return result.stdout


def test_the_command_writes_card_and_script_and_says_what_to_read_out(tmp_path: Path) -> None:
    (tmp_path / "1.root.json").write_bytes(root_bytes())
    out = tmp_path / "to the site"
    shown = json.loads(run_card(tmp_path / "1.root.json", "--out", out, "--output", "json"))
    written = (out / "site-start.txt").read_bytes()
    assert written == card.of_root(root_bytes()).to_bytes()
    assert shown["sha256"] == "".join(shown["groups"]) == sha256(written).hex
    assert shown["persons"] == ["architect", "builder", "custodian"]
    table = run_card(tmp_path / "1.root.json", "--out", out)
    for group, words in card.spoken(shown["sha256"]):
        assert f"{group}  {words}\n" in table


@pytest.mark.parametrize("arguments", [("nowhere.json", "--out", "."), ("root.json", "--out", "root.json/below")])
def test_a_file_or_folder_that_cannot_be_used_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, arguments: tuple[str, ...]
) -> None:
    (tmp_path / "root.json").write_bytes(root_bytes())
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UsageError, match="cannot be"):
        run_card(*arguments)


@pytest.mark.parametrize("altered", [False, True])
def test_the_second_line_of_the_card_checks_the_script(tmp_path: Path, altered: bool) -> None:  # noqa: FBT001 - a case
    """The operator's own command, of docs/first-contact.md."""
    (tmp_path / "site-start.txt").write_bytes(card.of_root(root_bytes()).to_bytes())
    script = card.script()
    (tmp_path / "first-contact.sh").write_bytes(script.replace(b"exit 3", b"exit 0") if altered else script)
    command = "grep first-contact.sh site-start.txt | sha256sum -c"
    done = subprocess.run(["sh", "-c", command], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == (1 if altered else 0)
    assert done.stdout == f"first-contact.sh: {'FAILED' if altered else 'OK'}\n"
