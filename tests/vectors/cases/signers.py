"""Sections 6 and 8: roots that break the policy, and metadata that too few, half, or the wrong persons signed."""

from __future__ import annotations

import json
import shutil
from typing import TYPE_CHECKING, Any

from airgap_bundle.trust_state import fingerprint
from tests.bundles import Draft, foreign_root, people, reseal, rewrite, root_bytes, sign, sign_root, unsigned_root
from tests.signers import signer
from tests.vectors.cases.desk import case, edit, first_use, knowing, sign_anyhow

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.vectors.cases.desk import Json

    Change = Callable[[dict[str, Any]], object]

EVERYBODY = ("architect", "builder", "custodian")
ROOT = "metadata/1.root.json"


def typed(folder: Path) -> Json:
    """A first use at which the operator types the fingerprint of the root that lies there."""
    return first_use(fingerprint((folder / "bundle" / ROOT).read_bytes()))


def _release(folder: Path, root: bytes, *names: str) -> None:
    """Release 3 under ``root``, signed by ``names``."""
    shutil.rmtree(folder / "bundle")
    bundle = Draft(version="3.0.0", number=3, min_release=2).write(folder / "bundle")
    sign(bundle, *names, roots={1: root})


@case("all-three-persons", None, "signed", about="more persons than the threshold asks for", freshness="pass")
def all_three(folder: Path) -> None:
    _release(folder, root_bytes(), *EVERYBODY, "release")


@case("one-person-is-enough", None, "threshold", about="a root with k = 1", freshness="pass")
def one_person(folder: Path) -> Json:
    _release(folder, sign_root(unsigned_root(threshold=1), people("architect")), "custodian", "release")
    return typed(folder)


def _key(root: dict[str, Any], name: str, half: str = "ml_dsa") -> dict[str, Any]:
    found: dict[str, Any] = root["keys"][getattr(signer(name).public, half).keyid]
    return found


def _respelled(root: dict[str, Any]) -> None:
    """The architect's ML-DSA key once more, its PEM wrapped differently, under another key id."""
    body = "".join(_key(root, "architect")["keyval"]["public"].splitlines()[1:-1])
    lines = "\n".join(body[at : at + 60] for at in range(0, len(body), 60))
    pem = f"-----BEGIN PUBLIC KEY-----\n{lines}\n-----END PUBLIC KEY-----\n"
    root["keys"]["a" * 64] = {**_key(root, "architect"), "keyval": {"public": pem}}
    for role in ("root", "targets"):
        root["roles"][role]["keyids"].append("a" * 64)


def _without(root: dict[str, Any], role: str, name: str, half: str) -> None:
    root["roles"][role]["keyids"].remove(getattr(signer(name).public, half).keyid)


ROOTS: dict[str, tuple[str, str, Change]] = {
    "key-respelled-under-a-second-id": ("DuplicateKeyError", "key-spelling", _respelled),
    "threshold-odd": ("RootPolicyError", "threshold", lambda root: root["roles"]["targets"].update(threshold=3)),
    "threshold-of-one-key-id": (
        "RootPolicyError",
        "threshold",
        lambda root: root["roles"]["targets"].update(threshold=1),
    ),
    "threshold-above-the-persons": (
        "RootPolicyError",
        "threshold",
        lambda root: root["roles"]["targets"].update(threshold=8),
    ),
    "person-without-ml-dsa": (
        "RootPolicyError",
        "pairs",
        lambda root: _without(root, "targets", "custodian", "ml_dsa"),
    ),
    "person-with-two-names": (
        "RootPolicyError",
        "pairs",
        lambda root: _key(root, "builder", "ed25519").update({"x-sovereign-signer": "architect"}),
    ),
    "key-without-a-name": (
        "RootPolicyError",
        "key-spelling",
        lambda root: _key(root, "builder").pop("x-sovereign-signer"),
    ),
    "name-that-steers-a-terminal": (
        "RootPolicyError",
        "key-spelling",
        lambda root: _key(root, "builder").update({"x-sovereign-signer": "\x1b[2Jbuilder"}),
    ),
    "key-with-a-field-more": ("RootPolicyError", "key-spelling", lambda root: _key(root, "builder").update(note="x")),
    "key-of-another-type": (
        "RootPolicyError",
        "key-spelling",
        lambda root: _key(root, "builder").update(scheme="ml-dsa-44/1"),
    ),
    "key-that-is-no-key": (
        "RootPolicyError",
        "key-spelling",
        lambda root: _key(root, "builder", "ed25519").update(keyval={"public": "00"}),
    ),
    "version-of-another-root": ("RootPolicyError", "chain", lambda root: root.update(version=2)),
    "consistent-snapshots": ("MalformedError", "metadata", lambda root: root.update(consistent_snapshot=True)),
}


for _name, (_error, _rule, _change) in ROOTS.items():

    @case(
        _name, _error, _rule, check="root chain", about=f"a root, signed by all its persons: {_name.replace('-', ' ')}"
    )
    def root(folder: Path, change: Change = _change) -> Json:
        rewrite(folder / "bundle" / ROOT, change, *EVERYBODY)
        return typed(folder)


@case("root-signed-by-one", "NotEnoughSignersError", "chain", check="root chain", about="root 1 signed by one of two")
def root_by_one(folder: Path) -> Json:
    rewrite(folder / "bundle" / ROOT, lambda _root: None, "architect")
    return typed(folder)


@case("root-signed-by-nobody", "UnsignedError", "chain", check="root chain", about="root 1 without any signature")
def root_by_nobody(folder: Path) -> Json:
    edit(folder / "bundle" / ROOT, lambda value: value.update(signatures=[]))
    return typed(folder)


@case("root-1-signed-by-an-outsider-too", "SignatureError", "signed", check="root chain", about="beside enough others")
def root_by_outsider(folder: Path) -> Json:
    rewrite(folder / "bundle" / ROOT, lambda _root: None, *EVERYBODY, "outsider")
    return typed(folder)


@case(
    "root-without-ml-dsa", "HalfSignatureError", "signed", check="root chain", about="root 1, Ed25519 signatures only"
)
def root_half(folder: Path) -> Json:
    _strip(folder / "bundle" / ROOT, "ml_dsa", *EVERYBODY)
    return typed(folder)


@case("nobody-pinned", "UnpinnedRootError", "pinned-root", check="pinned root", about="no pin and no fingerprint typed")
def nobody_pinned(_folder: Path) -> Json:
    return first_use(None)


@case("another-fingerprint", "ForeignRootError", "pinned-root", check="pinned root", about="another root was typed")
def another_fingerprint(_folder: Path) -> Json:
    return first_use("sha256:" + "0" * 64)


@case("other-people", "ForeignRootError", "pinned-root", check="pinned root", about="a bundle of other people")
def other_people(folder: Path) -> Json:
    _release(folder, foreign_root(), "outsider", "stranger", "other")
    return knowing(folder)


@case(
    "same-people-another-root", "ForeignRootError", "pinned-root", check="pinned root", about="root 1, k lowered to 1"
)
def same_people(folder: Path) -> Json:
    return knowing(folder, sign_root(unsigned_root(threshold=1), people(*EVERYBODY)))


def _strip(path: Path, half: str, *names: str) -> None:
    dropped = {getattr(signer(name).public, half).keyid for name in names}
    edit(
        path,
        lambda value: value.update(signatures=[s for s in value["signatures"] if s["keyid"] not in dropped]),
    )


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
            _strip(bundle / f"metadata/{role}.json", half, "architect", "builder", "release")
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
    _release(folder, root_bytes(), "architect", "builder")


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
    _strip(bundle / "metadata/targets.json", "ml_dsa", "builder")
    _strip(bundle / "metadata/targets.json", "ed25519", "custodian")
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
