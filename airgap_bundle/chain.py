"""The chain of roots that a bundle carries, verified link by link against the one root that the site trusts."""

from __future__ import annotations

import re
from dataclasses import dataclass
from itertools import takewhile
from typing import TYPE_CHECKING

from airgap_bundle.errors import (
    ForeignRootError,
    MalformedError,
    MissingFileError,
    RollbackError,
    RootPolicyError,
    UnpinnedRootError,
    UnsignedError,
)
from airgap_bundle.metadata import MAX_METADATA_BYTES, MODELS, ROOT, SNAPSHOT, TARGETS, TIMESTAMP, parse_root, role_in
from airgap_bundle.root_policy import charge, check_root, persons, require
from airgap_bundle.trust_state import fingerprint

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from tuf.api.metadata import Metadata, Root

    from airgap_bundle.digest import Digest
    from airgap_bundle.medium import BundleSource
    from airgap_bundle.root_policy import Tally
    from airgap_bundle.trust_state import TrustState

MAX_ROOTS = 128
_ROOT_FILE = re.compile(r"metadata/([1-9][0-9]{0,8})\.root\.json", re.ASCII)


@dataclass(frozen=True)
class Chain:
    """Verified roots; the last one is in force. ``reset``: roles whose floors start anew, seen from the site's root.

    That is a role of a release whose keys changed, and models where too few of its persons stayed at any link since.
    ``regranted``: a key of models changed at one of them. ``granting`` are fingerprints of the root in force and of
    those right before it that let the same keys bring models, ``remembering`` of those whose floors hold.

    Of models every link counts, and not only the first root and the last: a site that goes from A over B back to A
    learns the same whether it sees the roots one by one or all at once.
    """

    root: Root
    data: bytes
    signed: Tally
    reset: frozenset[str]
    regranted: bool
    granting: frozenset[Digest]
    remembering: frozenset[Digest]


def root_files(paths: Iterable[str]) -> dict[int, str]:
    """``{version: path}`` of the root files among ``paths``, ascending. Raises ``MalformedError`` above the cap."""
    found = {int(match[1]): path for path in paths if (match := _ROOT_FILE.fullmatch(path))}
    if len(found) > MAX_ROOTS:
        raise MalformedError(f"more than {MAX_ROOTS} roots")
    return dict(sorted(found.items()))


def read_roots(medium: BundleSource, paths: Iterable[str]) -> dict[int, bytes]:
    """All roots on ``medium``, ascending. Raises ``UnsignedError`` without any, ``MissingFileError`` for a gap."""
    files = root_files(paths)
    if not files:
        raise UnsignedError("the bundle carries no root metadata: it is not signed", "`sovereign bundle sign` signs it")
    first, last = min(files), max(files)
    if len(files) != last - first + 1:
        gap = next(version for version in range(first, last) if version not in files)
        raise MissingFileError(f"metadata/{gap}.root.json is missing", "copy the bundle again")
    return {version: medium.read(path, MAX_METADATA_BYTES) for version, path in files.items()}


def check_pinned(roots: dict[int, bytes], trust: TrustState) -> int:
    """Version of the root that the site trusts, byte for byte among ``roots``.

    Raises ``UnpinnedRootError``, ``ForeignRootError``, or ``RollbackError`` when the bundle's roots are all older.
    """
    if trust.root is None and trust.pinned is None:
        shown = fingerprint(roots[min(roots)])
        raise UnpinnedRootError(
            "no root is pinned, so nothing says whom to trust",
            f"compare {shown} with the fingerprint that the builders published, and give it as --root-fingerprint",
        )
    if trust.root is None:
        for version, data in roots.items():
            if fingerprint(data) == trust.pinned:
                return version
        raise ForeignRootError(f"no root of the bundle has the fingerprint {trust.pinned}", _FOREIGN_HINT)
    version = parse_root(trust.root).signed.version
    if version not in roots and version > max(roots):
        raise RollbackError(f"the bundle's roots end at version {max(roots)}; this site trusts version {version}")
    if roots.get(version) != trust.root:
        raise ForeignRootError(f"the bundle's root {version} is not the one that this site trusts", _FOREIGN_HINT)
    return version


_FOREIGN_HINT = "the bundle was signed by others, or changed on its way; do not install it"


def follow(roots: dict[int, bytes], pinned: int) -> Chain:
    """Verify every link of ``roots`` (ascending, without gaps); ``pinned`` is the version that the site trusts.

    Each root obeys the policy, is signed by k of its own persons and, from the second on, by k of its predecessor's.
    Roots before the pinned one are held to the same rules, so that nothing on the medium goes unverified.
    """
    parsed = {version: parse_root(data) for version, data in roots.items()}
    previous: Metadata[Root] | None = None
    signed: Tally | None = None
    for version, metadata in parsed.items():
        if metadata.signed.version != version:
            raise RootPolicyError(f"metadata/{version}.root.json holds version {metadata.signed.version}")
        check_root(metadata.signed)
        signed = _check_link(previous, metadata)
        previous = metadata
    assert previous is not None
    assert signed is not None
    old, new = parsed[pinned].signed, previous.signed
    reset = {role for role in (TARGETS, SNAPSHOT, TIMESTAMP) if _changed(old, new, role)}
    granting = _unbroken(parsed, lambda before, after: _changed(before, after, MODELS))
    remembering = _unbroken(parsed, _replaced)
    return Chain(
        new,
        roots[max(roots)],
        signed,
        frozenset(reset | (set() if pinned in remembering else {MODELS})),
        pinned not in granting,
        frozenset(fingerprint(roots[version]) for version in granting),
        frozenset(fingerprint(roots[version]) for version in remembering),
    )


def _unbroken(parsed: dict[int, Metadata[Root]], breaks: Callable[[Root, Root], bool]) -> list[int]:
    """Versions of the last root and of those before it, back to the link that ``breaks``."""
    versions = sorted(parsed, reverse=True)
    links = zip(versions[1:], versions[:-1], strict=True)
    kept = takewhile(lambda link: not breaks(parsed[link[0]].signed, parsed[link[1]].signed), links)
    return [versions[0], *(before for before, _ in kept)]


def _check_link(previous: Metadata[Root] | None, metadata: Metadata[Root]) -> Tally:
    own = frozenset(metadata.signed.roles[ROOT].keyids)
    if previous is None:
        # Signatures of a predecessor that is not here cannot be explained; the pin or the next link covers the bytes.
        # Root 1 has no predecessor.
        absent = frozenset(metadata.signatures) if metadata.signed.version > 1 else frozenset[str]()
        return require(metadata.signed, ROOT, metadata, others=absent)
    predecessor = frozenset(previous.signed.roles[ROOT].keyids)
    require(previous.signed, ROOT, metadata, others=own)
    return require(metadata.signed, ROOT, metadata, others=predecessor)


def _changed(old: Root, new: Root, role: str) -> bool:
    before, after = role_in(old, role), role_in(new, role)
    return set(before.keyids if before else ()) != set(after.keyids if after else ())


def _replaced(old: Root, new: Root) -> bool:
    """Whether fewer of those who may bring models under ``old`` may under ``new`` than have to sign there.

    Until then floors hold: whoever stays has seen them rise. Of a root without a grant nobody stays.
    """
    if role_in(new, MODELS) is None:
        return False
    before = {} if role_in(old, MODELS) is None else persons(old, MODELS)
    after = persons(new, MODELS)
    stayed = [name for name, halves in after.items() if before.get(name) == halves]
    return len(stayed) < charge(new, MODELS).threshold // 2
