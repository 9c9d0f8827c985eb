"""Sections 6 and 8: metadata that enough persons signed, and that too few, half, or the wrong persons did."""

from __future__ import annotations

import json
import shutil
from typing import TYPE_CHECKING

from tests.bundles import people, reseal, root_bytes, sign_root, unsigned_root
from tests.signers import signer
from tests.vectors.cases.desk import EVERYBODY, case, edit, release_under, sign_anyhow, strip, typed

if TYPE_CHECKING:
    from pathlib import Path

    from tests.vectors.cases.desk import Json


@case("all-three-persons", None, "signed", about="more persons than the threshold asks for", freshness="pass")
def all_three(folder: Path) -> None:
    release_under(folder, root_bytes(), *EVERYBODY, "release")


@case("one-person-is-enough", None, "threshold", about="a root with k = 1", freshness="pass")
def one_person(folder: Path) -> Json:
    release_under(folder, sign_root(unsigned_root(threshold=1), people("architect")), "custodian", "release")
    return typed(folder)


for _role in ("targets", "snapshot", "timestamp"):
    for _half, _algorithm in (("ed25519", "ed25519"), ("ml_dsa", "ml-dsa-65")):

        @case(
            f"{_role}-without-{_algorithm}",
            "HalfSignatureError",
            "signed",
            check=f"{_role} signatures, {_algorithm}",
            about=f"{_role}.json without its {_algorithm} signatures",
        )
        def stripped(folder: Path, role: str = _role, half: str = _half) -> None:
            bundle = folder / "bundle"
            strip(bundle / f"metadata/{role}.json", half, "architect", "builder", "release")
            if role == "targets":
                reseal(bundle)

    @case(
        f"{_role}-with-an-empty-list",
        "UnsignedError",
        "signed",
        check=f"{_role} signatures, ed25519",
        about=f"{_role}.json with an empty list of signatures",
    )
    def emptied(folder: Path, role: str = _role) -> None:
        edit(folder / f"bundle/metadata/{role}.json", lambda value: value.update(signatures=[]))


@case("unsigned", "UnsignedError", "reader-order", check="pinned root", about="a bundle before anybody signed it")
def unsigned(folder: Path) -> None:
    shutil.rmtree(folder / "bundle/metadata")


@case(
    "not-sealed", "UnsignedError", "reader-order", check="snapshot signatures, ed25519", about="signed by k, not sealed"
)
def not_sealed(folder: Path) -> None:
    release_under(folder, root_bytes(), "architect", "builder")


@case(
    "one-of-two",
    "NotEnoughSignersError",
    "signed",
    check="targets signatures, ed25519",
    about="one person of two signed",
)
def one_of_two(folder: Path) -> None:
    sign_anyhow(folder / "bundle", "architect")


@case(
    "halves-of-two-persons",
    "HalfSignatureError",
    "signed",
    check="targets signers",
    about="two of either algorithm, but one whole person only",
)
def halves(folder: Path) -> None:
    bundle = sign_anyhow(folder / "bundle", *EVERYBODY)
    strip(bundle / "metadata/targets.json", "ml_dsa", "builder")
    strip(bundle / "metadata/targets.json", "ed25519", "custodian")
    reseal(bundle)


@case(
    "outsider-beside-enough",
    "SignatureError",
    "signed",
    check="targets signatures, ed25519",
    about="an outsider's signature beside enough good ones",
)
def outsider(folder: Path) -> None:
    sign_anyhow(folder / "bundle", "architect", "builder", "outsider")


@case(
    "invalid-beside-enough",
    "SignatureError",
    "signed",
    check="targets signatures, ed25519",
    about="a third person's signature is wrong by one bit",
)
def invalid(folder: Path) -> None:
    bundle = sign_anyhow(folder / "bundle", *EVERYBODY)
    path = bundle / "metadata/targets.json"
    value = json.loads(path.read_bytes())
    wrong = bytearray.fromhex(value["signatures"][-1]["sig"])
    wrong[-1] ^= 1
    value["signatures"][-1]["sig"] = wrong.hex()
    path.write_bytes(json.dumps(value).encode())
    reseal(bundle)


@case(
    "text-changed-after-signing",
    "SignatureError",
    "signed",
    check="timestamp signatures, ed25519",
    about="a date in timestamp.json changed after it was signed",
)
def changed(folder: Path) -> None:
    edit(
        folder / "bundle/metadata/timestamp.json",
        lambda value: value["signed"].update({"x-sovereign-issued": "2020-01-01T00:00:00Z"}),
    )


@case("signer-file", None, "signer-file", operation="public-key", about="NAME.pub of the architect", signer="architect")
def public_key(folder: Path) -> None:
    (folder / "signer.pub").write_text(json.dumps(signer("architect").public.to_json()) + "\n")


@case("signer-file-cut", "KeyFileError", "signer-file", operation="public-key", about="a key lacks its last characters")
def public_key_cut(folder: Path) -> None:
    value = signer("architect").public.to_json()
    value["keys"]["ml-dsa-65"] = value["keys"]["ml-dsa-65"][:-4]
    (folder / "signer.pub").write_text(json.dumps(value) + "\n")


@case("signer-file-with-a-path", "KeyFileError", "signer-file", operation="public-key", about="a name that is a path")
def public_key_named(folder: Path) -> None:
    (folder / "signer.pub").write_text(json.dumps({**signer("architect").public.to_json(), "name": "../x"}) + "\n")
