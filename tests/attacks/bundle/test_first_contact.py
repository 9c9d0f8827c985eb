"""FIRST-CONTACT against the verification and the ceremony: what the carrier, or too few signers, can do to it."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

from airgap_bundle.errors import (
    FormatError,
    MalformedError,
    MissingFileError,
    MixedMetadataError,
    SignatureError,
    SigningError,
    SpecialFileError,
    UnlistedFileError,
    VerificationError,
)
from airgap_bundle.first_contact import ceremony, record, signatures
from airgap_bundle.sign import sign_bundle
from airgap_bundle.verify import verify
from tests.bundles import NOW, UV, WHEELS, Draft, Site, make, root_bytes, sign, signer, tree, trust, uv_wheel
from tests.first_contact import SIGNED, sign_text

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


def spoil_each_line(text: bytes) -> list[bytes]:
    lines = text.splitlines(keepends=True)
    return [b"".join([*lines[:n], lines[n].replace(b" ", b"  ", 1), *lines[n + 1 :]]) for n in range(len(lines))]


def test_a_changed_line_is_refused(site: Site, bundle: Path) -> None:
    path = bundle / record.FILE
    text = path.read_bytes()
    for other in spoil_each_line(text):
        path.write_bytes(other)
        site.refuses(bundle, SignatureError, match="the signature of architect is invalid")
    path.write_bytes(text)
    assert site.install(bundle).version == "3.0.0"


def test_a_text_that_its_signers_signed_and_the_release_does_not_say_is_refused(site: Site, bundle: Path) -> None:
    for number, other in enumerate(spoil_each_line((bundle / record.FILE).read_bytes()), 1):
        sign_text(bundle, other, *SIGNED)
        site.refuses(bundle, MixedMetadataError, match=f"not of this release: line {number} is ")


@pytest.mark.parametrize("more", [b"\n", b"wheelhouse more\n", b"\0"])
def test_bytes_after_the_last_line_are_refused_though_signed(site: Site, bundle: Path, more: bytes) -> None:
    sign_text(bundle, (bundle / record.FILE).read_bytes() + more, *SIGNED)
    site.refuses(bundle, MixedMetadataError, match="not of this release")


def test_text_of_the_medium_is_shown_escaped(site: Site, bundle: Path) -> None:
    sign_text(bundle, b"\x1b[2J\xe2\x80\xae\n", *SIGNED)
    refusal = site.refuses(bundle, MixedMetadataError)
    assert refusal.cause.isascii()
    assert refusal.cause.isprintable()


def test_first_contact_of_another_release_is_refused(site: Site, bundle: Path, older: Path) -> None:
    """Both are signed by enough persons."""
    for path in [record.FILE, *map(signatures.path, SIGNED)]:
        (bundle / path).write_bytes((older / path).read_bytes())
    site.refuses(bundle, MixedMetadataError, match="not of this release")


def test_first_contact_under_another_root_is_refused(site: Site, bundle: Path) -> None:
    text = (bundle / record.FILE).read_text()
    root = next(line for line in text.splitlines() if line.startswith("root sha256:"))
    sign_text(bundle, text.replace(root, f"root sha256:{'0' * 64}").encode(), *SIGNED)
    site.refuses(bundle, MixedMetadataError, match="'root sha256:000")


@pytest.mark.parametrize("path", [record.FILE, *map(signatures.path, SIGNED)])
def test_a_missing_file_of_first_contact_is_refused(site: Site, bundle: Path, path: str) -> None:
    (bundle / path).unlink()
    site.refuses(bundle, MissingFileError, match=path)


def test_all_of_first_contact_gone_is_no_bundle_without_first_contact(site: Site, bundle: Path) -> None:
    (bundle / record.FILE).unlink()
    for path in (bundle / signatures.FOLDER).iterdir():
        path.unlink()
    (bundle / signatures.FOLDER).rmdir()
    site.refuses(bundle, MissingFileError, match=record.FILE)


def test_swapped_signatures_are_refused(site: Site, bundle: Path) -> None:
    one, other = (bundle / signatures.path(name) for name in SIGNED)
    one.rename(bundle / "aside")
    other.rename(one)
    (bundle / "aside").rename(other)
    site.refuses(bundle, SignatureError, match="the signature of architect is invalid")


def test_one_signature_under_a_second_name_is_refused(site: Site, bundle: Path) -> None:
    (bundle / signatures.path("custodian")).write_bytes((bundle / signatures.path("architect")).read_bytes())
    site.refuses(bundle, SignatureError, match="the signature of custodian is invalid")


@pytest.mark.parametrize("name", ["deputy", "outsider", "release"])
def test_a_signature_by_somebody_whom_the_root_does_not_name_is_refused(site: Site, bundle: Path, name: str) -> None:
    (bundle / signatures.path(name)).write_bytes(signatures.sign(signer(name), (bundle / record.FILE).read_bytes()))
    site.refuses(bundle, SignatureError, match=f"signed by '{name}', whom the root does not name")


def test_a_person_who_signed_only_first_contact_is_refused(site: Site, bundle: Path) -> None:
    """The seal says who signed the release; a signature that came later is not part of it."""
    data = signatures.sign(signer("custodian"), (bundle / record.FILE).read_bytes())
    (bundle / signatures.path("custodian")).write_bytes(data)
    site.refuses(bundle, SignatureError, match="custodian signed FIRST-CONTACT and not the targets")


@pytest.mark.parametrize("size", [0, 63])
def test_a_signature_that_is_cut_is_refused(site: Site, bundle: Path, size: int) -> None:
    os.truncate(bundle / signatures.path("architect"), size)
    site.refuses(bundle, SignatureError, match="the signature of architect is invalid")


@pytest.mark.parametrize(("path", "size"), [(record.FILE, 1 << 40), (signatures.path("builder"), 65)])
def test_a_file_above_its_cap_is_refused_unread(site: Site, bundle: Path, path: str, size: int) -> None:
    os.truncate(bundle / path, size)
    site.refuses(bundle, MalformedError, match="exceeds")


@pytest.mark.parametrize("path", [record.FILE, signatures.path("architect"), signatures.FOLDER])
def test_a_link_is_refused_wherever_it_leads(site: Site, bundle: Path, tmp_path: Path, path: str) -> None:
    (bundle / path).rename(tmp_path / "elsewhere")
    (bundle / path).symlink_to(tmp_path / "elsewhere")
    site.refuses(bundle, SpecialFileError)


@pytest.mark.parametrize("name", ["note.txt", "architect.ed25519.old", "sub/architect", "Architect.ED25519"])
def test_anything_else_beside_the_signatures_is_refused(site: Site, bundle: Path, name: str) -> None:
    path = bundle / signatures.FOLDER / name
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(b"x")
    with site.unchanged(), pytest.raises(VerificationError) as refused:
        site.install(bundle)
    assert name.casefold().split("/")[0] in refused.value.cause.casefold()


def without_wheelhouse(folder: Path) -> Path:
    return make(folder, files={"policy": {"models.yaml": b"schema: 1\n"}})


def test_a_release_without_wheelhouse_needs_none_and_may_have_none(fresh: Site, tmp_path: Path) -> None:
    bundle = without_wheelhouse(tmp_path / "bundle")
    assert not (bundle / record.FILE).exists()
    (bundle / record.FILE).write_bytes(b"format 1\n")
    fresh.refuses(bundle, UnlistedFileError, match=record.FILE, pin=root_bytes())
    (bundle / record.FILE).unlink()
    (bundle / signatures.FOLDER).mkdir()
    fresh.refuses(bundle, UnlistedFileError, match=signatures.FOLDER, pin=root_bytes())
    (bundle / signatures.FOLDER).rmdir()
    assert fresh.install(bundle, pin=root_bytes()).number == 1


@pytest.mark.parametrize("when", ["before", "between"])
def test_nobody_signs_a_text_that_was_laid_ready(tmp_path: Path, when: str) -> None:
    bundle = Draft().write(tmp_path / "bundle")
    if when == "between":
        sign(bundle, "architect")
    (bundle / record.FILE).write_bytes(b"format 1\n")
    before = tree(bundle)
    with pytest.raises(SigningError, match=record.FILE) as refused:
        sign_bundle(bundle, signer("builder"), now=NOW, roots={1: root_bytes()})
    assert "remove metadata/" in str(refused.value.hint)
    assert tree(bundle) == before


def test_nobody_signs_beside_a_signature_that_is_not_valid(tmp_path: Path) -> None:
    bundle = sign(Draft().write(tmp_path / "bundle"), "architect")
    (bundle / signatures.path("custodian")).write_bytes(bytes(64))
    before = tree(bundle)
    for name in ("builder", "release"):
        with pytest.raises((SigningError, SignatureError)):
            sign(bundle, name)
    assert tree(bundle) == before


def test_the_release_key_does_not_seal_before_everybody_signed_both(tmp_path: Path) -> None:
    bundle = sign(Draft().write(tmp_path / "bundle"), "architect", "builder")
    (bundle / signatures.path("builder")).unlink()
    before = tree(bundle)
    with pytest.raises(SigningError, match="builder signed the targets but not FIRST-CONTACT"):
        sign(bundle, "release")
    assert tree(bundle) == before
    sign(bundle, "builder", "release")
    assert verify(bundle, trust(), now=NOW).ok


def test_a_text_that_was_taken_away_before_the_seal_comes_back_with_it(tmp_path: Path) -> None:
    bundle = sign(Draft().write(tmp_path / "bundle"), "architect", "builder")
    text = (bundle / record.FILE).read_bytes()
    (bundle / record.FILE).unlink()
    sign(bundle, "release")
    assert (bundle / record.FILE).read_bytes() == text
    assert verify(bundle, trust(), now=NOW).ok


def test_the_release_key_does_not_seal_a_signature_too_many(tmp_path: Path) -> None:
    bundle = sign(Draft().write(tmp_path / "bundle"), "architect", "builder")
    data = signatures.sign(signer("custodian"), (bundle / record.FILE).read_bytes())
    (bundle / signatures.path("custodian")).write_bytes(data)
    with pytest.raises(SigningError, match="custodian signed FIRST-CONTACT but not the targets"):
        sign(bundle, "release")


UNFIT: dict[str, tuple[Callable[[], Draft], str]] = {
    "no uv": (lambda: Draft(files={"runtime": {"requirements.txt": b""}}), "0 wheels of uv"),
    "two uvs": (
        lambda: Draft(files={"runtime": {**WHEELS, "uv-0.0.2-py3-none-any.whl": uv_wheel()}}),
        "2 wheels of uv",
    ),
    "uv is no wheel": (
        lambda: Draft(
            files={"runtime": {**WHEELS, UV: b"no zip"}}, wheelhouse_fields={"uv": {"sha256": "0" * 64, "size": 1}}
        ),
        "no wheel that can be read",
    ),
    "another uv is described": (
        lambda: Draft(wheelhouse_fields={"uv": {"sha256": "0" * 64, "size": 1}}),
        "describes another uv",
    ),
    "uv is not described": (lambda: Draft(wheelhouse_fields={"uv": None}), "does not say what uv is"),
    "size of uv": (lambda: Draft(wheelhouse_fields={"uv": {"sha256": "0" * 64, "size": 1 << 60}}), "says that uv has"),
    "machine": (lambda: Draft(wheelhouse_fields={"machine": "x86_64\nroot 0"}), "no plain machine"),
    "glibc": (lambda: Draft(wheelhouse_fields={"glibc": 2}), "no plain glibc"),
    "a name that is a command": (
        lambda: Draft(files={"runtime": {**WHEELS, "$(reboot)-1-py3-none-any.whl": b"x"}}),
        "no plain file name",
    ),
    "a name that is an option": (lambda: Draft(files={"runtime": {**WHEELS, "-n": b"x"}}), "no plain file name"),
    "a name with a space": (lambda: Draft(files={"runtime": {**WHEELS, "a b.whl": b"x"}}), "no plain file name"),
    "version": (lambda: Draft(version="1.0 final"), "no plain version"),
    "two wheelhouses": (lambda: Draft(files={"runtime": WHEELS, "more": WHEELS}), "at most one wheelhouse"),
}


@pytest.mark.parametrize(("draft", "cause"), UNFIT.values(), ids=UNFIT)
def test_nobody_signs_a_release_that_a_new_site_could_not_check(
    tmp_path: Path, draft: Callable[[], Draft], cause: str
) -> None:
    bundle = draft().write(tmp_path / "bundle")
    before = tree(bundle)
    with pytest.raises((SigningError, FormatError), match=cause):
        sign(bundle, "architect")
    assert tree(bundle) == before


UNFIT_BY_TEXT = {
    name: case for name, case in UNFIT.items() if name not in {"uv is no wheel", "another uv is described"}
}


@pytest.mark.parametrize(("draft", "cause"), UNFIT_BY_TEXT.values(), ids=UNFIT_BY_TEXT)
def test_a_release_that_signers_without_our_checks_sealed_is_refused(
    fresh: Site, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, draft: Callable[[], Draft], cause: str
) -> None:
    with monkeypatch.context() as theirs:
        theirs.setattr(record, "write", lambda *_what: None)
        theirs.setattr(ceremony, "check_program", lambda *_what: None)
        bundle = sign(draft().write(tmp_path / "bundle"), "architect", "builder", "release")
    fresh.refuses(bundle, MalformedError, match=cause, pin=root_bytes())
