"""`sovereign pack import`, and what else is done with packs while the site's lock is held.

Order of an import: form, signatures under the root in force, bytes, time; what the signatures say and what the pack
says agree; the site's policy; the number, which never falls. Only then is anything written.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from airgap_bundle.errors import ReleaseConflictError, RollbackError
from airgap_bundle.metadata import MAX_METADATA_BYTES
from airgap_bundle.pack_signature import SignedPack, verify_pack
from airgap_bundle.trust_state import TrustState
from appliance.errors import DeploymentError, NotAllowedError, UsageError
from appliance.install.decisions import check_allowed, demand_log, installed, tell_log
from appliance.install.journal import beside as journal_beside
from appliance.install.lock import site_lock
from appliance.install.model_record import operator
from appliance.install.pack_record import came_in, highest_number, note
from appliance.models.policy import load_policy
from appliance.packs.content import MAX_BYTES, Pack, digest_of, read_pack
from appliance.packs.errors import PackLostError, PackRefusedError
from appliance.packs.files import read_regular
from appliance.packs.policy import require_accepted
from appliance.packs.record import read_record
from appliance.packs.shelf import keep

if TYPE_CHECKING:
    from pathlib import Path

    from appliance.site.paths import SitePaths


@dataclass(frozen=True)
class Brought:
    """A pack that came in. ``new`` False: the site had it. ``unlogged`` says why the log has no entry about it yet."""

    digest: str
    pack: Pack
    signed: SignedPack
    new: bool
    unlogged: str | None


def check_may(paths: SitePaths) -> None:
    """Raise ``NotAllowedError`` unless this process may change the site."""
    try:
        check_allowed(paths)
    except NotAllowedError as error:
        raise NotAllowedError("only root, or who installed this site, may change its packs", error.hint) from error


def clock(trust: TrustState) -> datetime:
    """This host's clock, or the latest instant that the site has seen claimed, whichever is later."""
    now = datetime.now(UTC)
    return max(now, trust.clock) if trust.clock is not None else now


def bring(paths: SitePaths, file: Path, signature: Path | None = None) -> Brought:
    """Verify the pack in ``file`` by the signatures beside it and keep it. Nobody answers under it for that.

    Raises ``NotAllowedError``, ``UsageError`` for a file that cannot be read, ``VerificationError`` and
    ``PackRefusedError`` for a refused pack, ``DeploymentError`` where the log or the disk does not take it; the site is
    then as it was. Bringing the same pack again changes nothing, or puts back what was lost.
    """
    config = installed(paths)
    check_may(paths)
    data = read_file(file, MAX_BYTES)
    signed_by = read_file(signature or beside(file), MAX_METADATA_BYTES)
    with site_lock(paths):
        trust = TrustState.load(paths.trust)
        if trust.root is None:
            raise PackRefusedError("this site trusts no root yet", "install a release first")
        said = verify_pack(signed_by, data, trust.root, clock(trust))
        pack = read_pack(data, file.name)
        if (said.name, said.number) != (pack.name, pack.number):
            raise PackRefusedError(
                f"{said.name} number {said.number} was signed, and this is {pack.name} number {pack.number}"
            )
        require_accepted(pack, load_policy(paths.policies / "models.yaml"))
        digest = digest_of(data)
        new = _check_number(paths, pack, digest)
        demand_log(config, paths)
        _kept(paths, data, signed_by, pack, said)
        return Brought(digest, pack, said, new, tell_log(config, paths))


def _kept(paths: SitePaths, data: bytes, signature: bytes, pack: Pack, said: SignedPack) -> None:
    """On the shelf, announced before and journaled after: what is there without that may not be chosen."""
    detail = {
        "name": pack.name,
        "version": pack.version,
        "number": str(pack.number),
        "signers": ", ".join(said.signers),
        "by": operator(),
    }
    digest = digest_of(data)
    note(paths, "import", "started", digest, detail)
    try:
        keep(paths.packs, data, signature)
    except DeploymentError as error:
        with journal_beside(error):
            note(paths, "import", "failed", digest, {**detail, "error": error.cause})
        raise
    note(paths, "import", "done", digest, detail)


def beside(file: Path) -> Path:
    """Where the signatures of ``file`` lie."""
    return file.with_name(f"{file.name}.sig")


def read_file(path: Path, most: int) -> bytes:
    """The bytes of a file that somebody named. Raises ``UsageError``."""
    try:
        return read_regular(path, most)
    except OSError as error:
        hint = "`sovereign pack sign` writes it" if path.suffix == ".sig" else None
        raise UsageError(f"{path}: {(error.strerror or 'cannot be read').lower()}", hint) from error
    except ValueError as error:
        raise PackRefusedError(f"{path}: {error}") from error


def _check_number(paths: SitePaths, pack: Pack, digest: str) -> bool:
    """Whether the pack is new here. Raises ``RollbackError`` and ``ReleaseConflictError``.

    The very pack that a group answers under comes in again though a newer one was seen: its bytes are put back where
    they were lost, and its signatures renewed. Nobody answers under anything older for that.
    """
    number, known = highest_number(paths, pack.name)
    if pack.number < number and _in_force(paths, digest):
        return False
    if pack.number < number:
        raise RollbackError(
            f"{pack.name} number {pack.number} is below {number}, which this site has seen",
            "ask for the newest; what was in force before is reached with `sovereign pack back`",
        )
    if pack.number == number and digest != known:
        raise ReleaseConflictError(f"this site has seen another {pack.name} with number {number}")
    return pack.number > number


def _in_force(paths: SitePaths, digest: str) -> bool:
    """Whether ``digest`` came in once and the record says that a group answers under it; a damaged one says nothing."""
    try:
        used = read_record(paths.packs).values()
    except PackLostError:
        return False
    return digest in used and came_in(paths, digest)
