"""Import: verify a bundle and copy it into the site's store, in one reading of the medium.

The order, and why:

1. everything but the blobs is verified (``verify``), so that no byte is copied for a bundle that will be refused;
2. each blob is hashed while it is copied to ``.partial``, fsynced and renamed: the bytes that were verified are the
   bytes that are used, whatever happens to the medium meanwhile. A blob that is in the store is hashed there, and on
   the medium, and not written again, so that an interrupted import resumes;
3. the release's record is written;
4. the trust state is written, last: until then the site has learnt nothing, and the same import may be run again.

On a refusal, or when the disk is full, what this run wrote is removed: the store and the trust directory hold the same
bytes as before. Interrupted (power cut, kill), it leaves whole blobs and ``.partial`` files, which the next run uses
or overwrites. One import at a time: the trust directory is locked.
"""

from __future__ import annotations

import fcntl
import os
from contextlib import contextmanager, suppress
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from airgap_bundle import freshness
from airgap_bundle.digest import Digest, sha256
from airgap_bundle.errors import (
    ExpiredError,
    ForeignRootError,
    FormatError,
    MalformedError,
    ReleaseConflictError,
    StoreError,
    TrustStateLostError,
    VerificationError,
)
from airgap_bundle.intake import Intake
from airgap_bundle.media.opening import open_bundle
from airgap_bundle.metadata import INDEX_FILE, MODELS, RELEASE_FILE
from airgap_bundle.store import MODELS_SHELF, Store, VerifiedRelease
from airgap_bundle.store_record import Record
from airgap_bundle.supply import StoreSupply
from airgap_bundle.trust_state import TrustState, fingerprint
from airgap_bundle.verify import Verification

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from datetime import datetime
    from pathlib import Path

    from airgap_bundle.blobs import Progress
    from airgap_bundle.chain import Chain


def import_release(  # noqa: PLR0913 - every argument is another thing of the site, none can be grouped
    bundle: Path,
    trust_dir: Path,
    store: Path,
    *,
    now: datetime,
    root_fingerprint: str | None = None,
    progress: Progress | None = None,
    accept: Callable[[VerifiedRelease], None] | None = None,
) -> VerifiedRelease:
    """Verify ``bundle`` (directory, packed file or split set), copy it into ``store``, remember it in ``trust_dir``.

    What a delta lacks is taken from ``store`` itself, and hashed there.

    ``root_fingerprint`` is needed once: on first use, or after the trust state was lost. ``progress`` hears bytes done
    and bytes in all. ``accept`` sees the verified release before the trust state learns of it, and refuses by raising.
    Raises a ``VerificationError`` with the report for a refusal and ``StoreError`` when medium or
    disk fail; nothing is changed by either. Importing the same release again verifies and repairs it;
    where nothing was damaged, not a byte changes.
    """
    with Intake(store) as intake, locked(trust_dir, intake), open_bundle(bundle) as medium:
        trust = _known_trust(trust_dir, Store(store), root_fingerprint)
        run = Verification(medium, trust, now, StoreSupply(Store(store)))
        run.check_metadata()
        run.raise_for_failure()
        _check_admissible(run, trust, Store(store))
        intake.reserve(run.contents.blobs)
        run.check_blobs(intake.take, progress)
        run.raise_for_failure()
        record = record_of(run)
        for name in (INDEX_FILE, RELEASE_FILE):
            intake.put(run.raw[name])
        intake.record(record)
        release = Store(store).open_record(record)
        if accept is not None:
            try:
                accept(release)
            except Exception:
                intake.undo()
                raise
        learnt = _learnt(run, trust)
        if trust.root is None:
            learnt = _with_floors_of_models(learnt, run.chain, Store(store, MODELS_SHELF))
        if learnt != trust:
            learnt.save(trust_dir)
        intake.keep()
    return release


@contextmanager
def locked(trust_dir: Path, intake: Intake) -> Iterator[None]:
    """Hold the trust directory's lock; the lock is on the folder itself, so that it leaves no file behind."""
    intake.make_folder(trust_dir)
    try:
        descriptor = os.open(trust_dir, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    except OSError as error:
        raise StoreError(f"{trust_dir} cannot be opened: {error.strerror}") from error
    try:
        _lock(descriptor, intake)
        yield
    finally:
        os.close(descriptor)


def _lock(descriptor: int, intake: Intake) -> None:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        intake.keep()  # an empty folder that we made may be the one the other import works in
        raise StoreError("another import is running", "wait for it to end") from error


def _known_trust(trust_dir: Path, store: Store, root_fingerprint: str | None) -> TrustState:
    """The site's trust state, or what a first use may expect; a store without trust state is no first use."""
    try:
        given = None if root_fingerprint is None else Digest.parse(root_fingerprint)
        found = TrustState.find(trust_dir)
    except FormatError as error:
        raise MalformedError(f"root fingerprint: {error.cause}") from error
    except TrustStateLostError:
        if root_fingerprint is None:
            raise
        found = None
    if found is not None:
        known = {found.pinned, None if found.root is None else fingerprint(found.root), None}
        if given not in known:
            raise ForeignRootError(f"this site trusts another root than {given}", "leave --root-fingerprint away")
        return found
    records = store.records()
    if not records:
        return TrustState.expecting(root_fingerprint)
    if given is None:
        raise TrustStateLostError(
            "the store holds releases but this site's trust state is gone",
            "if that was not you, ask who removed it; then pin the root again with --root-fingerprint",
        )
    last = records[-1]
    return replace(TrustState.expecting(given), release_number=last.number, release_digest=last.release)


def _check_admissible(run: Verification, trust: TrustState, store: Store) -> None:
    """What only an import asks: that support has not ended, and that the version is not taken."""
    info = run.contents.release.info
    release = sha256(run.raw[RELEASE_FILE])
    for record in store.records():
        if record.version == info.version and record.release != release:
            raise ReleaseConflictError(f"this site holds another release with version {info.version}")
    verdict = run.report().freshness
    reinstall = release == trust.release_digest
    if verdict is not None and isinstance(verdict.error, ExpiredError) and not reinstall:
        verdict.error.report = run.report()
        raise verdict.error


def record_of(run: Verification) -> Record:
    """What the store keeps about a bundle that passed."""
    report, info = run.report(), run.contents.release.info
    return Record(
        info.version,
        info.number,
        sha256(run.raw[INDEX_FILE]),
        sha256(run.raw[RELEASE_FILE]),
        fingerprint(run.chain.data),
        report.signers,
    )


def _learnt(run: Verification, trust: TrustState) -> TrustState:
    """The trust state after this import. The clock's bound comes from signed claims, never from this host's clock."""
    info = run.contents.release.info
    return replace(
        on_root(trust, run),
        release_number=info.number,
        release_digest=sha256(run.raw[RELEASE_FILE]),
        min_release=max(trust.min_release, info.min_release),
    )


def _with_floors_of_models(learnt: TrustState, chain: Chain, shelf: Store) -> TrustState:
    """``learnt`` with what the store shows of bundles of models: pinning again does not let an older one in.

    Raises ``StoreError`` for a record that cannot be read: its number may be the floor.
    """
    found = [record for record in shelf.records() if record.root_fingerprint in chain.remembering]
    if not found:
        return learnt
    lowest = [0]
    for record in found:
        with suppress(VerificationError):  # what is damaged is brought again, and does not keep the site from its root
            lowest.append(shelf.open_record(record).min_release)
    return replace(
        learnt,
        versions={**learnt.versions, MODELS: found[-1].number},
        models_digest=found[-1].release,
        models_min=max(lowest),
        models_roots=tuple(sorted(chain.granting & {Digest.parse(record.root_fingerprint) for record in found})),
    )


def on_root(trust: TrustState, run: Verification) -> TrustState:
    """``trust`` with the root and the clock that ``run`` established, and the floors that hold under that root.

    What the new root resets starts anew here and now: the next bundle is compared with this root, not with the old one.
    """
    seen = {role: found.signed.version for role, found in run.roles.items()}
    floors = {role: floor for role, floor in trust.versions.items() if role not in run.chain.reset}
    afresh: dict[str, Any] = {"models_digest": None, "models_min": 0} if MODELS in run.chain.reset else {}
    if run.chain.regranted:
        afresh["models_roots"] = ()
    return replace(
        trust,
        root=run.chain.data,
        versions={**floors, **seen},
        clock=freshness.latest_claim(run.claims, trust.clock),
        **afresh,
    )
