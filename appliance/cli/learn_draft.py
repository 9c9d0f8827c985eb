"""A draft's folder, and what the commands of the exchange look texts through with."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING

from airgap_bundle import durable
from appliance.cli.user_keycloak import keycloak
from appliance.errors import UsageError
from appliance.identity.users import every_name
from appliance.learning.errors import ExchangeError
from appliance.learning.exchange.draft import STAYS, WORK, read_left, read_work, work_bytes
from appliance.learning.exchange.export import MAX_BYTES, NAME, read_export
from appliance.learning.exchange.redactor import Redactor
from appliance.learning.exchange.sheet import SHEET, sheet
from appliance.models.officers import load_officers
from appliance.packs.shelf import shelved

if TYPE_CHECKING:
    from pathlib import Path

    from airgap_bundle.keys import PublicSigner
    from appliance.learning.exchange.draft import Drafted, Left, WorkLine
    from appliance.learning.exchange.export import Export
    from appliance.site.config import SiteConfig
    from appliance.site.paths import SitePaths
    from appliance.site.shapes import Exchange

MAX_WORK = 32 << 20
_OFFICERS = "officers"


def exchange_of(site: SiteConfig) -> Exchange:
    """What site.yaml says of the exchange. Raises ``UsageError`` where it says nothing."""
    if site.exchange is None:
        raise UsageError(
            "this site gives nothing of its learning away", "name `exchange` in site.yaml: a name, and who approves"
        )
    return site.exchange


def approvers_of(paths: SitePaths, exchange: Exchange) -> tuple[PublicSigner, ...]:
    """The officers whose approvals count, with their enrolled keys. Raises ``PolicyError``."""
    return load_officers(paths.policies / _OFFICERS, dict.fromkeys(exchange.approvers))


def redactor_of(paths: SitePaths, site: SiteConfig, passphrase_fd: int | None, *, without_accounts: bool) -> Redactor:
    """What knows the site's own names. Raises ``UnavailableError`` where Keycloak does not answer."""
    accounts: tuple[str, ...] = ()
    if not without_accounts:
        with keycloak(paths, passphrase_fd) as admin:
            accounts = every_name(admin)
    groups = (group.name for group in site.groups)
    return Redactor(hosts=_hosts(site), accounts=accounts, groups=groups, terms=_terms(paths))


def _terms(paths: SitePaths) -> set[str]:
    """What the site's packs call things. Damaged packs say nothing: what they would excuse is held back."""
    found, _ = shelved(paths.packs)
    return {word for one in found for term in one.pack.glossary for word in (term.term, term.use)}


def _hosts(site: SiteConfig) -> list[str]:
    whole = [site.name, site.listen.hostname]
    return [*whole, site.listen.hostname.partition(".")[0]]


def make_draft(folder: Path, drafted: Drafted) -> None:
    """Write a new draft: all of it, or nothing. Raises ``UsageError``."""
    if folder.exists() or folder.is_symlink():
        raise UsageError(f"{folder} exists", "name a new folder")
    partial = folder.with_name(folder.name + durable.PARTIAL)
    try:
        shutil.rmtree(partial, ignore_errors=True)
        partial.mkdir(mode=0o700)
        for name, data in _files(drafted).items():
            durable.write_new(partial / name, data, 0o600)
        partial.rename(folder)
        durable.sync_directory(folder.parent)
    except OSError as error:
        shutil.rmtree(partial, ignore_errors=True)
        raise UsageError(f"{folder} cannot be written: {error.strerror}", "name a new folder with room") from error


def change_draft(folder: Path, drafted: Drafted) -> None:
    """Put a draft in the place of the one that lies in ``folder``. Raises ``StoreError``."""
    durable.replace_all({folder / name: data for name, data in _files(drafted).items()})
    for name in _files(drafted):
        (folder / name).chmod(0o600)


def _files(drafted: Drafted) -> dict[str, bytes]:
    return {
        WORK: work_bytes(drafted.work),
        NAME: drafted.export.to_bytes(),
        SHEET: sheet(drafted).encode(),
        STAYS: drafted.left.model_dump_json().encode() + b"\n",
    }


def read_draft(folder: Path) -> Export:
    """The export of the draft. Raises ``ExchangeError``."""
    return read_export(read_bounded(folder / NAME, MAX_BYTES))


def read_lines_of_work(folder: Path) -> tuple[WorkLine, ...]:
    """The lines that a person may have edited. Raises ``ExchangeError``."""
    return read_work(read_bounded(folder / WORK, MAX_WORK))


def read_stays(folder: Path) -> Left:
    """How many cases stay. Raises ``ExchangeError``."""
    return read_left(read_bounded(folder / STAYS, 4096))


def read_bounded(path: Path, most: int) -> bytes:
    """A file that somebody named. Raises ``ExchangeError``."""
    try:
        with path.open("rb") as stream:
            data = stream.read(most + 1)
    except OSError as error:
        raise ExchangeError(f"{path}: {(error.strerror or 'cannot be read').lower()}") from error
    if len(data) > most:
        raise ExchangeError(f"{path} is longer than {most} bytes")
    return data
