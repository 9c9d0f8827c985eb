"""The packs that a site holds, by digest: ``HEX.pack`` and its signatures, ``HEX.json``, in ``packs`` of the site.

What was verified when it came in is verified again at each use: the bytes by the digest in the name. Whoever reads here
gets a whole pack or an error, never a part of one.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from airgap_bundle import durable
from airgap_bundle.errors import StoreError, VerificationError
from airgap_bundle.metadata import MAX_METADATA_BYTES
from airgap_bundle.pack_signature import said_of, standing
from appliance.errors import DeploymentError
from appliance.packs.content import MAX_BYTES, Pack, digest_of, read_pack
from appliance.packs.errors import PackError, PackLostError, PackRefusedError
from appliance.packs.files import read_regular

if TYPE_CHECKING:
    from pathlib import Path

_FILE = re.compile(r"[0-9a-f]{64}\.pack")
_DIGEST = re.compile(r"sha256:[0-9a-f]{64}")
MIN_PREFIX = 6
IN_PODS = "..data"
"""Where a ConfigMap's files lie in its volume: a link to a folder that is exchanged whole; in it they are plain."""


@dataclass(frozen=True)
class Shelved:
    """A pack that came in. ``signature`` are the bytes of its signature file, None where they are not there."""

    digest: str
    pack: Pack
    signature: bytes | None

    def withdrawn(self, root: bytes | None, now: datetime | None = None) -> str | None:
        """Why it may not be chosen now, by the root in force; None: it may."""
        if self.signature is None:
            return "its signatures are not there"
        try:
            said_of(self.signature, self.pack.to_bytes())
        except VerificationError as error:
            return error.cause
        return standing(self.signature, root, now or datetime.now(UTC))

    def matches(self, name: str) -> bool:
        """Whether ``name`` is its name, its name with its version (``NAME@VERSION``), or begins its digest."""
        by_name = name in {self.pack.name, f"{self.pack.name}@{self.pack.version}"}
        digits = name.removeprefix("sha256:")
        by_digest = len(digits) >= MIN_PREFIX and self.digest.removeprefix("sha256:").startswith(digits)
        return by_name or by_digest


def served(folder: Path) -> Path:
    """Where the shelf of a gateway lies: ``folder`` on a host; in a pod, which may not write it, the volume's files."""
    inside = folder / IN_PODS
    return inside if inside.is_dir() else folder


def open_pack(folder: Path, digest: str) -> Pack:
    """The pack ``digest`` of the shelf ``folder``. Raises ``PackLostError``: it is not there, or not what it was."""
    if not _DIGEST.fullmatch(digest):
        raise PackLostError("the record names no pack's digest", "`sovereign pack list` shows what is in use")
    path = _place(folder, digest)
    hint = "`sovereign pack import` brings the same pack again; `sovereign pack back` returns to the one before"
    try:
        data = read_regular(path, MAX_BYTES)
    except FileNotFoundError:
        raise PackLostError(f"pack {digest[:19]}… is not there any more", hint) from None
    except (OSError, ValueError) as error:
        raise PackLostError(f"pack {digest[:19]}… cannot be read: {error}", hint) from error
    if digest_of(data) != digest:
        raise PackLostError(f"pack {digest[:19]}… holds other bytes than came in", hint)
    try:
        return read_pack(data, path.name)
    except PackRefusedError as error:
        raise PackLostError(error.cause, hint) from error


def shelved(folder: Path) -> tuple[tuple[Shelved, ...], tuple[str, ...]]:
    """What the shelf holds, by name and number; and digests of those that are damaged."""
    whole: list[Shelved] = []
    damaged: list[str] = []
    names = sorted(path.name for path in folder.iterdir()) if folder.is_dir() else []
    for name in filter(_FILE.fullmatch, names):
        digest = f"sha256:{name.removesuffix('.pack')}"
        try:
            pack = open_pack(folder, digest)
        except PackLostError:
            damaged.append(digest)
            continue
        whole.append(Shelved(digest, pack, _signature(folder, digest)))
    return tuple(sorted(whole, key=lambda one: (one.pack.name, one.pack.number))), tuple(damaged)


def pick(folder: Path, name: str) -> Shelved:
    """The one pack that ``name`` names; of several versions the newest. Raises ``PackError``."""
    whole, _ = shelved(folder)
    found = [one for one in whole if one.matches(name)]
    if not found:
        known = ", ".join(f"{one.pack.name}@{one.pack.version}" for one in whole) or "none"
        raise PackError(f"this site has no pack {name!a:.80}", f"there: {known}")
    if len({one.pack.name for one in found}) > 1:
        raise PackError(f"several packs are named by {name!a:.80}", "give more digits, or a name")
    return found[-1]


def keep(folder: Path, data: bytes, signature: bytes) -> str:
    """Put a verified pack on the shelf, durably; its digest. Raises ``DeploymentError``; nothing is there then."""
    digest = digest_of(data)
    try:
        if not folder.is_dir():  # a site that was installed before there were packs lacks it
            folder.mkdir(mode=0o755)
            folder.chmod(0o755)
        path = _place(folder, digest)
        durable.replace_all({path.with_suffix(".json"): signature, path: data})
    except (OSError, StoreError) as error:
        cause = error.cause if isinstance(error, StoreError) else f"{folder}: {error.strerror}"
        raise DeploymentError(cause, "check free space and rights") from error
    return digest


def remove(folder: Path, digest: str) -> None:
    """Take a pack off the shelf, durably; the pack itself goes first."""
    path = _place(folder, digest)
    path.unlink(missing_ok=True)
    path.with_suffix(".json").unlink(missing_ok=True)
    durable.sync_directory(folder)


def _place(folder: Path, digest: str) -> Path:
    return folder / f"{digest.removeprefix('sha256:')}.pack"


def _signature(folder: Path, digest: str) -> bytes | None:
    try:
        return read_regular(_place(folder, digest).with_suffix(".json"), MAX_METADATA_BYTES)
    except (OSError, ValueError):
        return None
