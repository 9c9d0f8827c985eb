"""Sections 6 and 8: roots that break the policy, and roots that are not the one that the site trusts."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tests.bundles import foreign_root, people, rewrite, sign_root, unsigned_root
from tests.signers import signer
from tests.vectors.cases.desk import EVERYBODY, case, edit, first_use, knowing, release_under, strip, typed

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.vectors.cases.desk import Json

    Change = Callable[[dict[str, Any]], object]

ROOT = "metadata/1.root.json"


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
    strip(folder / "bundle" / ROOT, "ml_dsa", *EVERYBODY)
    return typed(folder)


@case("nobody-pinned", "UnpinnedRootError", "pinned-root", check="pinned root", about="no pin and no fingerprint typed")
def nobody_pinned(_folder: Path) -> Json:
    return first_use(None)


@case("another-fingerprint", "ForeignRootError", "pinned-root", check="pinned root", about="another root was typed")
def another_fingerprint(_folder: Path) -> Json:
    return first_use("sha256:" + "0" * 64)


@case("other-people", "ForeignRootError", "pinned-root", check="pinned root", about="a bundle of other people")
def other_people(folder: Path) -> Json:
    release_under(folder, foreign_root(), "outsider", "stranger", "other")
    return knowing(folder)


@case(
    "same-people-another-root", "ForeignRootError", "pinned-root", check="pinned root", about="root 1, k lowered to 1"
)
def same_people(folder: Path) -> Json:
    return knowing(folder, sign_root(unsigned_root(threshold=1), people(*EVERYBODY)))
