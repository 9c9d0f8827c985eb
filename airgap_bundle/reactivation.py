"""Rollback: a release that this site imported before is put in force again, from its store and without a medium.

Versions never fall, so an older bundle is refused, whoever brings it. What a site may do is to go back to a release
that it verified whole when it was the newest: at or above ``min_release``, the highest lower bound that any imported
release was signed with, which is how a release says that those before it must not run again. Nothing that the site
remembers changes: the same newer release may be installed again at any time, and an older bundle is still refused.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from airgap_bundle.blobs import hash_blob, take_all
from airgap_bundle.errors import RollbackError, VerificationError
from airgap_bundle.medium import Medium

if TYPE_CHECKING:
    from airgap_bundle.blobs import Progress
    from airgap_bundle.store import Store, VerifiedRelease
    from airgap_bundle.store_record import Record
    from airgap_bundle.trust_state import TrustState

_HINT = "a newer release was signed with this lower bound: go back to one at or above it"


def may_return(store: Store, trust: TrustState) -> tuple[Record, ...]:
    """The releases in ``store`` that may be put in force again, by number; those whose record is damaged may not."""
    return tuple(record for record in store.survey()[0] if record.number >= trust.min_release)


def reactivate(
    store: Store, trust: TrustState, version: str, progress: Progress | None = None, *, active: str | None = None
) -> VerifiedRelease:
    """The release ``version`` of ``store``, every blob of it hashed again.

    ``active`` runs whatever the floor says by now: to put it in force again goes nowhere back.

    Raises ``StoreError`` where the release was never imported or its record cannot be read, ``RollbackError`` below
    ``min_release``, and ``MissingFileError``, ``DigestMismatchError`` or ``SpecialFileError`` where the store no longer
    holds what was signed. Nothing is changed.
    """
    record = store.record(version)
    if record.number < trust.min_release and version != active:
        raise RollbackError(
            f"release {version} has number {record.number}, below {trust.min_release}, the lowest that may run", _HINT
        )
    release, blobs = store.open_record(record), store.contents(record).blobs
    try:
        with Medium(store.root) as medium:
            take_all(medium, blobs, hash_blob, progress)
    except VerificationError as error:
        raise type(error)(error.cause, f"the store holds release {version} damaged: bring its bundle again") from error
    return release
