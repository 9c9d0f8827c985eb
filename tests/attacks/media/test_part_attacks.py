"""Split sets under attack: neither the list of parts nor the resume note lets a byte through."""

from __future__ import annotations

import json
import shutil
from typing import TYPE_CHECKING, Any

import pytest

from airgap_bundle import strict_json
from airgap_bundle.digest import sha256
from airgap_bundle.errors import (
    DigestMismatchError,
    ForeignRootError,
    HalfSignatureError,
    MalformedError,
    PayloadTypeError,
    RollbackError,
    SignatureError,
    StoreError,
    VerificationError,
)
from airgap_bundle.media.join import join
from airgap_bundle.media.part_list import PARTS_TYPE, read_claims, seal_list
from airgap_bundle.sign import sign_root
from airgap_bundle.statement import WAIVER_TYPE, sign_statement
from airgap_bundle.trust_state import TrustState
from tests.bundles import NOW, Site, foreign_root, people, root_bytes, second_root, signer, tree, unsigned_root
from tests.media_sets import PART, split_set, sticks

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


@pytest.fixture
def parts(bundle: Path, tmp_path: Path) -> Path:
    split_set(bundle, tmp_path / "set")
    return tmp_path / "set"


def refused(parts: Path, site: Site, error: type[Exception], match: str | None = None) -> None:
    """Joining refuses, writes no bundle, and the site is as it was."""
    out = parts.parent / "joined.pack"
    with site.unchanged(), pytest.raises(error, match=match):
        join([parts], out, TrustState.load(site.trust), now=NOW).raise_for_fault()
    assert not out.exists()


def forge(parts: Path, change: Callable[[dict[str, Any]], None], *, by: str, type_: str = PARTS_TYPE) -> None:
    """Change the list and sign it anew."""
    path = parts / "RELEASE.LST"
    value = json.loads(path.read_bytes())
    payload = read_claims(path.read_bytes()).to_json()
    change(payload)
    value["statement"] = json.loads(sign_statement(payload, type_, signer(by)))
    path.write_bytes(strict_json.dumps(value))


def vouch(parts: Path, number: int) -> Callable[[dict[str, Any]], None]:
    """Make the list say that part ``number`` is as it lies there."""

    def change(payload: dict[str, Any]) -> None:
        entry, data = payload["parts"][number - 1], (parts / f"RELEASE.{number:03}").read_bytes()
        entry["sha256"] = sha256(data).hex
        entry["pieces"] = [sha256(data[at : at + PART]).hex for at in range(0, len(data), PART)]

    return change


def flip(path: Path, at: int = 1000) -> None:
    data = bytearray(path.read_bytes())
    data[at] ^= 1
    path.write_bytes(data)


def test_a_list_that_vouches_for_a_changed_part_does_not_get_it_in(parts: Path, site: Site) -> None:
    """Even the holder of the release key only gets as far as the digests that persons signed."""
    flip(parts / "RELEASE.003")
    forge(parts, vouch(parts, 3), by="release")
    refused(parts, site, DigestMismatchError, "blob .* holds other bytes than were signed")


def test_a_list_by_anybody_else_is_refused_before_a_part_is_read(parts: Path, site: Site) -> None:
    for name in ("architect", "stranger", "release-2"):
        forge(parts, lambda _payload: None, by=name)
        before = tree(parts.parent)
        refused(parts, site, SignatureError, "nobody whose key is known")
        assert tree(parts.parent) == before


def test_a_changed_list_is_refused(parts: Path, site: Site) -> None:
    path = parts / "RELEASE.LST"
    value = json.loads(path.read_bytes())
    payload = read_claims(path.read_bytes()).to_json()
    payload["parts"][0]["pieces"].reverse()
    other = json.loads(sign_statement(payload, PARTS_TYPE, signer("stranger")))
    value["statement"]["payload"] = other["payload"]
    path.write_bytes(strict_json.dumps(value))
    refused(parts, site, SignatureError, "invalid")


def test_a_list_without_its_post_quantum_half_is_refused(parts: Path, site: Site) -> None:
    path = parts / "RELEASE.LST"
    value = json.loads(path.read_bytes())
    value["statement"]["signatures"] = value["statement"]["signatures"][:1]
    path.write_bytes(strict_json.dumps(value))
    refused(parts, site, HalfSignatureError)


def test_a_statement_of_another_type_is_no_list(parts: Path, site: Site) -> None:
    forge(parts, lambda _payload: None, by="release", type_=WAIVER_TYPE)
    refused(parts, site, PayloadTypeError)


def test_roots_of_other_people_lead_nowhere(parts: Path, site: Site) -> None:
    claims = read_claims((parts / "RELEASE.LST").read_bytes())
    (parts / "RELEASE.LST").write_bytes(seal_list(claims, [foreign_root()], signer("other")))
    refused(parts, site, ForeignRootError)


def test_a_release_key_that_a_new_root_removed_signs_nothing(parts: Path, site: Site) -> None:
    claims = read_claims((parts / "RELEASE.LST").read_bytes())
    (parts / "RELEASE.LST").write_bytes(seal_list(claims, [root_bytes(), second_root()], signer("release")))
    refused(parts, site, SignatureError, "nobody whose key is known")


@pytest.mark.parametrize(
    "change",
    [
        lambda p: p.update(piece=3),
        lambda p: p.update(piece=2**40),
        lambda p: p.update(parts=[]),
        lambda p: p["parts"][0].update(name="../../etc/x.001"),
        lambda p: p["parts"][1].update(name="RELEASE.001"),
        lambda p: p["parts"][0].update(size=-1),
        lambda p: p["parts"][0].update(size=PART + 1),
        lambda p: p["release"].update(number=7),
        lambda p: p["release"].update(version="9.9.9"),
        lambda p: p["parts"][0].update(size=2**63 - 1),
        lambda p: p["parts"][0].update(pieces=[]),
        lambda p: p["parts"][0].update(sha256="short"),
        lambda p: p["release"].update(version="../x"),
    ],
)
def test_a_list_with_hostile_values_is_refused_whoever_signed_it(
    parts: Path, site: Site, change: Callable[[dict[str, Any]], None]
) -> None:
    forge(parts, change, by="release")
    refused(parts, site, VerificationError)


@pytest.mark.parametrize("data", [b"", b"{}", b"[" * 100_000, b'{"schema":1,"schema":1}', b"\xff", b"0" * (9 << 20)])
def test_a_list_that_is_no_json_of_ours_is_refused(parts: Path, site: Site, data: bytes) -> None:
    (parts / "RELEASE.LST").write_bytes(data)
    refused(parts, site, MalformedError)
    with site.unchanged(), pytest.raises(MalformedError):
        site.install(parts)


def test_parts_of_two_releases_do_not_join(parts: Path, site: Site, templates: Path, tmp_path: Path) -> None:
    split_set(templates / "release-2", tmp_path / "other")
    shutil.copy(tmp_path / "other/RELEASE.001", parts)
    refused(parts, site, DigestMismatchError, "recopy part 1")
    with site.unchanged(), pytest.raises(DigestMismatchError, match="different lists"):
        join([parts, tmp_path / "other"], tmp_path / "new.pack", TrustState.load(site.trust), now=NOW)


def test_an_older_release_in_parts_is_refused(site: Site, templates: Path, tmp_path: Path) -> None:
    split_set(templates / "release-1", tmp_path / "set")
    refused(tmp_path / "set", site, RollbackError)


def test_a_note_that_claims_everything_is_done_lets_nothing_in(parts: Path, site: Site) -> None:
    """The attacker fills the partial file with his bytes and writes the note that every piece was checked."""
    out = parts.parent / "joined.pack"
    listing = (parts / "RELEASE.LST").read_bytes()
    claims = read_claims(listing)
    whole = b"".join((parts / part.name).read_bytes() for part in claims.parts)
    evil = bytearray(whole)
    evil[2 * PART + 77] ^= 1
    out.with_name("joined.pack.partial").write_bytes(evil)
    pieces = {str(number): len(part.pieces) for number, part in enumerate(claims.parts, 1)}
    note = {"schema": 1, "list": sha256(listing), "pieces": pieces}
    out.with_name("joined.pack.joining").write_bytes(strict_json.dumps(note))
    refused(
        parts, site, DigestMismatchError, r"recopy part 2 of \d+: RELEASE\.002 was changed on this host at 0\.0 MiB"
    )
    assert join([parts], out, TrustState.load(site.trust), now=NOW).done
    assert out.read_bytes() == whole


def test_a_note_of_another_set_is_not_followed(parts: Path, site: Site) -> None:
    note = {"schema": 1, "list": sha256(b"other"), "pieces": {"1": 1}}
    (parts.parent / "joined.pack.joining").write_bytes(strict_json.dumps(note))
    refused(parts, site, StoreError, "another set")


def test_links_on_a_medium_are_not_parts(parts: Path, site: Site, tmp_path: Path) -> None:
    (tmp_path / "hidden").write_bytes((parts / "RELEASE.002").read_bytes())
    (parts / "RELEASE.002").unlink()
    (parts / "RELEASE.002").symlink_to(tmp_path / "hidden")
    refused(parts, site, StoreError, r"missing: RELEASE\.002")


def test_a_link_in_the_place_of_the_output_is_not_followed(parts: Path, site: Site, tmp_path: Path) -> None:
    victim = tmp_path / "victim"
    victim.write_bytes(b"precious")
    (tmp_path / "joined.pack.partial").symlink_to(victim)
    refused(parts, site, StoreError, "cannot be written")
    assert victim.read_bytes() == b"precious"


@pytest.mark.parametrize("how", ["writable by others", "linked elsewhere"])
def test_a_partial_file_that_somebody_else_can_reach_is_not_used(
    parts: Path, site: Site, tmp_path: Path, how: str
) -> None:
    partial = tmp_path / "joined.pack.partial"
    partial.write_bytes(b"planted")
    if how == "writable by others":
        partial.chmod(0o666)
    else:
        (tmp_path / "elsewhere").hardlink_to(partial)
    refused(parts, site, StoreError, "not left by a join of yours")
    assert partial.read_bytes() == b"planted"


def test_a_gap_between_the_roots_of_a_list_is_refused(parts: Path, site: Site) -> None:
    value = json.loads((parts / "RELEASE.LST").read_bytes())
    third = sign_root(unsigned_root(version=3), people("architect", "builder")).decode()
    for roots in (value["roots"] * 2, [*value["roots"], *value["roots"], third]):
        (parts / "RELEASE.LST").write_bytes(strict_json.dumps(value | {"roots": roots}))
        refused(parts, site, MalformedError, "consecutive")


def test_a_stick_that_never_comes_leaves_no_bundle(parts: Path, site: Site, tmp_path: Path) -> None:
    for stick in sticks(parts, tmp_path)[:-1]:
        with site.unchanged(), pytest.raises(StoreError, match="missing"):
            join([stick], tmp_path / "joined.pack", TrustState.load(site.trust), now=NOW).raise_for_fault()
    assert not (tmp_path / "joined.pack").exists()
