"""`sovereign document import` and `sync`: files become documents, with an outcome for each."""

from __future__ import annotations

import asyncio
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.table import Table

from appliance.cli.document_files import gather, opened
from appliance.cli.document_open import Desk, desk, host_site, known_groups
from appliance.cli.terminal import OutputFormat, OutputOption, PassphraseFdOption, emit, progress, say, site_paths
from appliance.errors import RefusedError, UsageError
from appliance.memory.chunking import chunks
from appliance.memory.errors import DocumentRefusedError
from appliance.memory.importing import BOUND, Imported, Importer, Source
from appliance.memory.parsing import launch
from appliance.memory.parsing.blocks import joined

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from rich.console import Console

    from appliance.memory.documents import Document
    from appliance.site.config import DocumentFolder
    from appliance.site.paths import SitePaths

TOGETHER = 2
"""Documents on their way at the same time: one is read while another waits for its vectors."""
GroupOption = Annotated[
    list[str], typer.Option("--group", metavar="GROUP", help="Who may see it; may be given again for more groups.")
]


@dataclass(frozen=True)
class Result:
    """What became of one file."""

    file: str
    outcome: str
    pages: int | None = None
    passages: int | None = None
    id: str | None = None
    cause: str | None = None
    hint: str | None = None


def register(app: typer.Typer) -> None:
    """Add the commands to the group ``document``."""
    app.command("import")(import_command)
    app.command()(sync)


def import_command(  # noqa: PLR0913 - one parameter per option
    context: typer.Context,
    paths: Annotated[list[Path], typer.Argument(metavar="PATH…", help="Files, or folders with files below.")],
    group: GroupOption,
    title: Annotated[str | None, typer.Option(help="What people are told the document is called (one file).")] = None,
    *,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Read the files and keep nothing.")] = False,
    passphrase_fd: PassphraseFdOption = None,
    output: OutputOption = OutputFormat.table,
) -> None:
    """Read documents and let groups' people be answered with them; a file imported before is replaced."""
    site = site_paths(context)
    groups = known_groups(host_site(site), group)
    gathered = gather(paths)
    if title is not None and len(gathered.files) != 1:
        raise UsageError("--title is for one file", "leave it away, and documents keep their own titles")
    if gathered.passed_over:
        say(f"passed over: {gathered.passed_over} files of kinds that are not read, hidden files and links")
    if dry_run:
        results = [_tried(file) for file in gathered.files]
    else:
        results = asyncio.run(_imported(site, gathered.files, [groups] * len(gathered.files), title, passphrase_fd))
    _told(results, output)


def sync(
    context: typer.Context, passphrase_fd: PassphraseFdOption = None, output: OutputOption = OutputFormat.table
) -> None:
    """Make the library hold what the site's document folders hold: new and changed files in, missing ones out.

    Files are read where they lie and never moved or changed. Where a folder is missing, or empty that was not, nothing
    is changed.
    """
    _told(asyncio.run(_synced(context, passphrase_fd)), output)


async def _synced(context: typer.Context, passphrase_fd: int | None) -> list[Result]:
    site = site_paths(context)
    folders = host_site(site).documents.folders
    files, groups = _declared(folders)
    there = {str(file) for file in files}
    async with desk(site, passphrase_fd) as open_desk:
        gone = await _gone(open_desk, [Path(folder.path) for folder in folders], there)
    results = await _imported(site, files, groups, None, passphrase_fd)
    async with desk(site, passphrase_fd) as open_desk:
        return results + await _dropped(open_desk, gone)


def _declared(folders: Sequence[DocumentFolder]) -> tuple[list[Path], list[tuple[str, ...]]]:
    """Files of the site's folders, and for whom each is. Raises ``UsageError`` before anything is changed."""
    if not folders:
        raise UsageError("site.yaml declares no documents.folders", "docs/reference/site.md describes them")
    files: list[Path] = []
    groups: list[tuple[str, ...]] = []
    for folder in folders:
        if not Path(folder.path).is_dir():
            raise UsageError(f"{folder.path}: no such folder", "mount or make it; nothing was changed")
        found = gather([Path(folder.path)]).files
        if twice := set(found).intersection(files):
            raise UsageError(f"{min(twice)} lies in two of the folders", "declare folders that do not hold each other")
        files += found
        groups += [folder.groups] * len(found)
    return files, groups


async def _gone(open_desk: Desk, folders: Sequence[Path], there: set[str]) -> list[Document]:
    """What lay in one of ``folders`` and is not ``there`` any more.

    Raises ``UsageError`` where a folder is empty that was not: it looks so when a disk is not mounted.
    """
    gone: list[Document] = []
    known = await open_desk.library.listed()
    for folder in folders:
        missing = [one for one in known if Path(one.origin).is_relative_to(folder) and one.origin not in there]
        if missing and not any(Path(file).is_relative_to(folder) for file in there):
            raise UsageError(
                f"{folder} holds no documents any more; nothing was changed",
                "mount it, or take its documents out by `sovereign document delete`",
            )
        gone += missing
    return gone


async def _dropped(open_desk: Desk, gone: Sequence[Document]) -> list[Result]:
    for one in gone:
        await open_desk.enter_deletion(one.digest, "its file is gone from the folder")
        await open_desk.library.delete(one.id)
    if gone:
        await open_desk.library.sweep()
    return [Result(one.origin, "deleted", id=str(one.id)) for one in gone]


async def _imported(
    site: SitePaths,
    files: Sequence[Path],
    groups: Sequence[tuple[str, ...]],
    title: str | None,
    passphrase_fd: int | None,
) -> list[Result]:
    async with desk(site, passphrase_fd) as open_desk:
        importer = Importer(open_desk.library, open_desk.embedder, open_desk.enter)
        turns = asyncio.Semaphore(TOGETHER)
        done = 0
        with progress("documents", unit="steps") as report:

            async def one(file: Path, to: tuple[str, ...]) -> Result:
                nonlocal done
                async with turns:
                    result = await _taken(importer, file, to, title, open_desk.actor)
                done += 1
                report(done, len(files))
                return result

            try:
                async with asyncio.TaskGroup() as tasks:
                    begun = [tasks.create_task(one(file, to)) for file, to in zip(files, groups, strict=True)]
            except ExceptionGroup as failures:  # the site's own trouble: what was taken in until then is in
                raise failures.exceptions[0] from failures
        results = [task.result() for task in begun]
        if any(result.outcome in {"replaced", "refused"} for result in results):
            await open_desk.library.sweep()
    return results


async def _taken(importer: Importer, file: Path, groups: tuple[str, ...], title: str | None, actor: str) -> Result:
    try:
        with opened(file) as descriptor:
            return _result(file, await importer.take(Source(descriptor, file.name, str(file), groups, actor, title)))
    except UsageError as error:
        return Result(str(file), "refused", cause=error.cause, hint=error.hint)


def _result(file: Path, taken: Imported) -> Result:
    cause = taken.refusal
    document = taken.document
    return Result(
        str(file),
        taken.outcome,
        document.pages if document else None,
        document.passages if document and document.state == "ready" else None,
        str(document.id) if document else None,
        cause.cause if cause else document.reason if document and document.reason else None,
        cause.hint if cause else None,
    )


def _tried(file: Path) -> Result:
    try:
        with opened(file) as descriptor:
            parsed = launch.parse(descriptor, launch.kind_of(file.name, descriptor))
        return Result(str(file), "readable", parsed.pages, len(chunks(joined(parsed.blocks), BOUND)))
    except (DocumentRefusedError, UsageError) as error:
        return Result(str(file), "refused", cause=error.cause, hint=error.hint)


def _told(results: Sequence[Result], output: OutputFormat) -> None:
    """Print the outcomes. Raises ``RefusedError`` at the end where a document was refused: the others are in."""
    emit([vars(result) for result in results], output, _drawn(results))
    counted = Counter(result.outcome for result in results)
    if refused := counted["refused"]:
        raise RefusedError(
            f"{refused} of {len(results)} documents could not be read",
            "the table names the cause of each; the others are in",
        )


def _drawn(results: Sequence[Result]) -> Callable[[Console], None]:
    def draw(console: Console) -> None:
        table = Table("file", "outcome", "pages", "passages", "cause")
        for one in results:
            cause = f"{one.cause}; {one.hint}" if one.cause and one.hint else one.cause or ""
            numbers = ("" if number is None else str(number) for number in (one.pages, one.passages))
            table.add_row(Path(one.file).name, one.outcome, *numbers, cause)
        console.print(table, markup=False)

    return draw
