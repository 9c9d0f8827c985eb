"""`sovereign document sync`: the library holds what the site's document folders hold."""

from __future__ import annotations

import asyncio
from collections import Counter
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

import typer  # noqa: TC002 - typer reads the annotations at run time

from airgap_bundle.errors import BundleError
from appliance.cli.document_files import Gathered, below
from appliance.cli.document_import import Result, Wanted, imported, nameless, told
from appliance.cli.document_open import Desk, desk, swept
from appliance.cli.learn_site import described_site
from appliance.cli.memory_warm import retold
from appliance.cli.reached import reached
from appliance.cli.terminal import OutputFormat, OutputOption, PassphraseFdOption, say
from appliance.errors import SovereignError, UsageError
from appliance.install.document_syncs import Synced, note, now_utc
from appliance.install.lock import SiteBusyError, busy, site_lock
from appliance.memory.errors import NoDocumentError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from appliance.memory.documents import Document
    from appliance.site.paths import SitePaths
    from appliance.site.served import DocumentFolder

_PART = "documents"
_FILE_GONE = "its file is gone from the folder"
_FOLDER_GONE = "its folder is not declared any more"


def register(app: typer.Typer) -> None:
    """Add the command to the group ``document``."""
    app.command()(sync)


def sync(
    context: typer.Context, passphrase_fd: PassphraseFdOption = None, output: OutputOption = OutputFormat.table
) -> None:
    """Make the library hold what the site's document folders hold: new and changed files in, missing ones out.

    Documents of a folder that site.yaml declares no more go out too. Files are read where they lie and never moved or
    changed; links are not followed. Where a folder is missing, cannot be read whole, or is empty that was not, nothing
    is changed. `sovereign status` tells what the last one came to; under systemd, a timer runs it. One runs at a time,
    and none while another command changes the site: this one then does nothing.
    """
    paths = reached(context)
    try:
        with site_lock(paths, _PART):
            if busy(paths):
                raise SiteBusyError("another sovereign command is changing this site")  # noqa: TRY301 - as of the lock
            results = asyncio.run(_synced(context, passphrase_fd))
    except SiteBusyError:
        say("nothing was read: another `document sync` runs, or a command that changes the site")
        return
    except SovereignError as error:
        if described_site(paths).documents.folders:
            _noted(paths, Synced(now_utc(), cause=error.cause))
        raise
    counted = Counter(one.outcome for one in results)
    _noted(
        paths,
        Synced(now_utc(), counted["new"] + counted["replaced"], counted["deleted"], counted["refused"]),
    )
    told(results, output)


def _noted(paths: SitePaths, synced: Synced) -> None:
    """Keep it for `status`. Where that cannot be, it is said: what was done, or why not, matters more."""
    try:
        note(paths, synced)
    except BundleError as error:
        say(f"`status` will not tell of this sync: {error.cause}")


async def _synced(context: typer.Context, passphrase_fd: int | None) -> list[Result]:
    site = reached(context)
    folders = described_site(site).documents.folders
    found = _declared(folders)
    wanted = [Wanted(file, of.groups, None, of.path) for of, part in found for file in part.files]
    there = {str(one.file.path) for one in wanted}
    async with desk(site, passphrase_fd) as open_desk:
        known = await open_desk.library.listed()
        orphans = _orphans(known, {folder.path for folder in folders}, there)
        gone = _gone(known, [Path(folder.path) for folder in folders], there)
    if not folders and not orphans:
        raise UsageError("site.yaml declares no documents.folders", "docs/reference/site.md describes them")
    async with desk(site, passphrase_fd) as open_desk:
        dropped = await _dropped(open_desk, orphans, _FOLDER_GONE)
    results = await imported(site, wanted, passphrase_fd)
    async with desk(site, passphrase_fd) as open_desk:
        dropped += await _dropped(open_desk, [one for one in gone if one not in orphans], _FILE_GONE)
    if dropped or any(one.outcome == "replaced" for one in results):
        await retold(site, [group.name for group in described_site(site).groups], passphrase_fd)
    return [*results, *(one for _, part in found for one in nameless(part)), *dropped]


def _declared(folders: Sequence[DocumentFolder]) -> list[tuple[DocumentFolder, Gathered]]:
    """What lies in each of the site's folders. Raises ``UsageError`` before anything is changed."""
    found: list[tuple[DocumentFolder, Gathered]] = []
    for folder in folders:
        place = Path(folder.path)
        for before, _ in found:
            if place.is_relative_to(before.path) or Path(before.path).is_relative_to(place):
                raise UsageError(
                    f"of the folders {before.path} and {folder.path}, one holds the other",
                    "declare folders that do not hold each other; nothing was changed",
                )
        if not place.is_dir():
            raise UsageError(f"{folder.path}: no such folder", "mount or make it; nothing was changed")
        found.append((folder, below(place, place)))
    return found


def _orphans(known: Sequence[Document], declared: set[str], there: set[str]) -> list[Document]:
    return [one for one in known if one.folder is not None and one.folder not in declared and one.origin not in there]


def _gone(known: Sequence[Document], folders: Sequence[Path], there: set[str]) -> list[Document]:
    """What lay in one of ``folders`` and is not ``there`` any more.

    Raises ``UsageError`` where a folder is empty that was not: it looks so when a disk is not mounted.
    """
    gone: list[Document] = []
    for folder in folders:
        missing = [one for one in known if Path(one.origin).is_relative_to(folder) and one.origin not in there]
        if missing and not any(Path(file).is_relative_to(folder) for file in there):
            raise UsageError(
                f"{folder} holds no documents any more; nothing was changed",
                "mount it, or take its documents out by `sovereign document delete`",
            )
        gone += missing
    return gone


async def _dropped(open_desk: Desk, gone: Sequence[Document], why: str) -> list[Result]:
    dropped = []
    try:
        for one in gone:
            await open_desk.enter_deletion(one.digest, why)
            with suppress(NoDocumentError):  # somebody else took it out meanwhile
                await open_desk.library.delete(one.id)
                dropped.append(Result(one.origin, "deleted", id=str(one.id)))
    finally:
        await swept(open_desk.library)
    return dropped
