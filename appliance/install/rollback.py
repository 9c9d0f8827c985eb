"""`sovereign rollback`: the site goes back to a release that it ran before, from its own store.

The data stay as they are, so a release can only be gone back to where it can read them: Keycloak's database does not go
back a version, and the gateway's has its own revisions. Both are compared before anything is stopped.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from airgap_bundle.reactivation import may_return, reactivate
from airgap_bundle.store import Store
from airgap_bundle.trust_state import TrustState
from appliance.errors import RefusedError, UsageError
from appliance.install.host import Installed, check_same_name, put_in_force
from appliance.install.journal import read_journal
from appliance.install.lock import site_lock
from appliance.install.release_change import held, unreadable
from appliance.install.release_description import active_version
from appliance.install.site_files import read_site_files

if TYPE_CHECKING:
    from collections.abc import Callable, Collection
    from pathlib import Path

    from airgap_bundle.store_record import Record
    from appliance.install.runner import Advance, Observer
    from appliance.site.paths import SitePaths
    from appliance.site.site_key import Passphrase

RESTORE = "its data would have to be restored from a backup that was made under that release"


@dataclass(frozen=True)
class Return:
    """A release that the site ran before. ``refusal`` says why it cannot be gone back to; None: it can."""

    version: str
    number: int
    active: bool
    refusal: str | None

    def data(self) -> dict[str, object]:
        """As JSON data."""
        return {"version": self.version, "number": self.number, "active": self.active, "refusal": self.refusal}


def returns(paths: SitePaths) -> tuple[Return, ...]:
    """Every release that was in force here, by number. Changes nothing; blobs are not read."""
    store, active = Store(paths.store), active_version(paths)

    def why(record: Record) -> str | None:
        return unreadable(held(store.open_release(active)), held(store.open_record(record)))

    return returns_of(store, TrustState.load(paths.trust), active, _ran(paths), why)


def returns_of(
    store: Store, trust: TrustState, active: str, ran: Collection[str], why: Callable[[Record], str | None]
) -> tuple[Return, ...]:
    """Those of ``store`` that ``ran``, by number; ``why`` says of one that may run why it cannot be gone back to."""
    allowed = {record.version for record in may_return(store, trust)}
    found = []
    for record in store.survey()[0]:
        if record.version not in ran:
            continue
        refusal = None if record.version in allowed else f"below {trust.min_release}, the lowest number that may run"
        if refusal is None and record.version != active:
            refusal = why(record)
        found.append(Return(record.version, record.number, record.version == active, refusal))
    return tuple(found)


def roll_back(  # noqa: PLR0913 - what a rollback is made of, by keyword
    paths: SitePaths,
    version: str | None,
    *,
    config: Path | None = None,
    passphrase: Passphrase,
    observer: Observer,
    progress: Advance,
) -> Installed:
    """Put ``version`` in force again; by default the newest before the active one that can be gone back to.

    After an upgrade that was cut off before its switch that is the active one itself. ``config`` is a site file of
    before, where the installed one is of the newer release.

    The one in force may be named: what is damaged is mended from the store, and a rollback that was interrupted after
    the switch is finished. Raises ``UsageError`` where it never ran here, ``RefusedError`` where it cannot read the
    site's data, and as ``reactivate``. Services are ready when it returns.
    """
    files = read_site_files(config or paths.site_yaml, paths)
    check_same_name(paths, files)
    with site_lock(paths):
        wanted = version or _default(paths)
        store, active = Store(paths.store), active_version(paths)
        release = reactivate(store, TrustState.load(paths.trust), wanted, progress, active=active)
        if wanted not in _ran(paths):
            raise UsageError(f"release {wanted} never ran here", "upgrade with its bundle, or go back to one that did")
        if (why := unreadable(held(store.open_release(active)), held(release))) is not None:
            raise RefusedError(f"release {wanted} cannot be gone back to: {why}", RESTORE)
        return put_in_force(paths, files, release, passphrase=passphrase, observer=observer)


def _default(paths: SitePaths) -> str:
    newest = Store(paths.store).survey()[0][-1].version
    begun = newest not in _ran(paths) and paths.release(newest).exists()
    return active_version(paths) if begun else before(returns(paths))


def before(found: tuple[Return, ...]) -> str:
    """The newest that may return with a lower number than the active one. Raises ``UsageError``."""
    active = next((each.number for each in found if each.active), 0)
    older = [each for each in found if each.number < active and each.refusal is None]
    if not older:
        raise UsageError(
            "there is no release to go back to", "`sovereign rollback --dry-run` lists what ran here, and why not"
        )
    return older[-1].version


def _ran(paths: SitePaths) -> frozenset[str]:
    """Versions that were in force here, by the install journal."""
    records = read_journal(paths.journal)
    return frozenset(r.detail.get("release", "") for r in records if (r.step, r.state) == ("activate", "done"))
