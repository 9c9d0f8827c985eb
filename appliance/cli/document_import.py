"""`sovereign document import`: files become documents, with an outcome for each."""

from __future__ import annotations

import asyncio
import os
import uuid
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.table import Table

from appliance.cli.document_files import Found, Gathered, gather, opened
from appliance.cli.document_open import desk, known_groups, swept
from appliance.cli.document_vectors import tried
from appliance.cli.learn_site import described_site
from appliance.cli.reached import reached
from appliance.cli.terminal import OutputFormat, OutputOption, PassphraseFdOption, emit, progress, say
from appliance.errors import RefusedError, UsageError
from appliance.memory.chunking import chunks
from appliance.memory.errors import DocumentRefusedError
from appliance.memory.holding import held
from appliance.memory.importing import BOUND, Imported, Importer, Source, parsed_copy
from appliance.memory.parsing.blocks import cleaned, joined

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from rich.console import Console

    from appliance.site.paths import SitePaths

TOGETHER = 2
"""Documents on their way at the same time: one is read while another waits for the log and the database."""
_STAYS = "; the version before stays"
_NAMELESS = ("its name is not UTF-8", "rename it")
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


@dataclass(frozen=True)
class Wanted:
    """A file that is to be a document: for whom, what it is to be called, and the declared folder that it lies in."""

    file: Found
    groups: tuple[str, ...]
    title: str | None = None
    folder: str | None = None


def register(app: typer.Typer) -> None:
    """Add the command to the group ``document``."""
    app.command("import")(import_command)


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
    """Read documents and let groups' people be answered with them; a file imported before is replaced.

    Words find them at once. Then they get their vectors, which may be ended: the gateway goes on by itself.
    """
    site = reached(context)
    groups = known_groups(described_site(site), group)
    gathered = gather(paths)
    if title is not None and len(gathered.files) != 1:
        raise UsageError("--title is for one file", "leave it away, and documents keep their own titles")
    if gathered.passed_over:
        say(f"passed over: {gathered.passed_over} files of kinds that are not read, hidden files and links")
    if dry_run:
        results = [_tried(file) for file in gathered.files]
    else:
        wanted = [Wanted(file, groups, title) for file in gathered.files]
        results = asyncio.run(imported(site, wanted, passphrase_fd))
    refused: RefusedError | None = None
    try:
        told([*results, *nameless(gathered)], output)
    except RefusedError as error:
        refused = error
    tried(site, passphrase_fd, [uuid.UUID(one.id) for one in results if one.id is not None])
    if refused is not None:
        raise refused


async def imported(site: SitePaths, wanted: Sequence[Wanted], passphrase_fd: int | None) -> list[Result]:
    """Take the files in, and then nothing of what they replaced is left. Raises ``SovereignError`` for the site's."""
    async with desk(site, passphrase_fd) as open_desk:
        importer = Importer(open_desk.library, open_desk.enter)
        turns = asyncio.Semaphore(TOGETHER)
        done = 0
        with progress("documents", unit="steps") as report:

            async def one(file: Wanted) -> Result:
                nonlocal done
                async with turns:
                    result = await _taken(importer, file, open_desk.actor)
                done += 1
                report(done, len(wanted))
                return result

            try:
                async with asyncio.TaskGroup() as tasks:
                    begun = [tasks.create_task(one(file)) for file in wanted]
            except ExceptionGroup as failures:  # the site's own trouble: what was taken in until then is in
                raise failures.exceptions[0] from failures
            finally:
                await swept(open_desk.library)
        return [task.result() for task in begun]


def nameless(gathered: Gathered) -> list[Result]:
    """Files that cannot be documents because no text can name them."""
    return [
        Result(os.fsencode(file).decode("utf-8", "backslashreplace"), "refused", cause=_NAMELESS[0], hint=_NAMELESS[1])
        for file in gathered.unnamed
    ]


async def _taken(importer: Importer, wanted: Wanted, actor: str) -> Result:
    file = wanted.file
    try:
        with opened(file) as descriptor:
            origin = str(file.path)
            source = Source(descriptor, file.path.name, origin, wanted.groups, actor, wanted.title, wanted.folder)
            return _result(file.path, await importer.take(source))
    except UsageError as error:
        return Result(str(file.path), "refused", cause=error.cause, hint=error.hint)


def _result(file: Path, taken: Imported) -> Result:
    cause = taken.refusal
    document = taken.document
    ready = document is not None and document.state == "ready"
    reason = document.reason if document is not None else None
    return Result(
        str(file),
        taken.outcome,
        document.pages if document else None,
        document.passages if document and ready else None,
        str(document.id) if document else None,
        f"{cause.cause}{_STAYS}" if cause and ready else cause.cause if cause else reason,
        cause.hint if cause else None,
    )


def _tried(file: Found) -> Result:
    try:
        with opened(file) as descriptor, held(descriptor) as copy:
            _, parsed = parsed_copy(file.path.name, copy)
        return Result(str(file.path), "readable", parsed.pages, len(chunks(joined(parsed.blocks), BOUND)))
    except (DocumentRefusedError, UsageError) as error:
        return Result(str(file.path), "refused", cause=error.cause, hint=error.hint)


def told(results: Sequence[Result], output: OutputFormat) -> None:
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
            table.add_row(cleaned(Path(one.file).name), one.outcome, *numbers, cleaned(cause))
        console.print(table, markup=False)

    return draw
