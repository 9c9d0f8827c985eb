"""`sovereign document`: what the assistant may look up, and who may be answered with it."""

from __future__ import annotations

import asyncio
import uuid
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated

import typer
from rich.table import Table

from appliance.cli.document_import import GroupOption  # noqa: TC001 - typer reads the annotations at run time
from appliance.cli.document_open import TRY_AGAIN, Desk, desk, known_groups, meaning_for, swept
from appliance.cli.document_vectors import told_of
from appliance.cli.memory_warm import retold
from appliance.cli.reached import reached
from appliance.cli.terminal import OutputFormat, OutputOption, PassphraseFdOption, emit, say
from appliance.errors import UnavailableError, UsageError
from appliance.memory.parsing.blocks import cleaned

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from rich.console import Console

    from appliance.memory.documents import Document, Found
    from appliance.site.paths import SitePaths

app = typer.Typer(no_args_is_help=True)
_EXCERPT = 200
IdArgument = Annotated[str, typer.Argument(metavar="ID", help="The document's id, as `list` shows it.")]


@app.command("list")
def list_command(
    context: typer.Context, passphrase_fd: PassphraseFdOption = None, output: OutputOption = OutputFormat.table
) -> None:
    """List the documents, those that could not be read included."""

    async def ask() -> tuple[Document, ...]:
        async with desk(reached(context), passphrase_fd) as open_desk:
            listed = await open_desk.library.listed()
            await _notes(open_desk)
            return listed

    found = asyncio.run(ask())
    emit([asdict(one) for one in found], output, _drawn(found))


async def _notes(open_desk: Desk) -> None:
    """Say what is still to be done, on standard error."""
    if (since := await open_desk.library.due()) is not None:
        say(f"since {since:%Y-%m-%d %H:%M}, the database's files hold something that was deleted: {TRY_AGAIN}")
    if open_desk.embedder is None:
        return
    try:
        awaiting = await open_desk.vectoring(open_desk.embedder).awaiting()
    except UnavailableError as error:
        say(f"{error.cause}: whether documents await its vectors is not known")
        return
    if awaiting.passages:
        say(told_of(awaiting))


@app.command()
def show(
    context: typer.Context,
    document: IdArgument,
    passphrase_fd: PassphraseFdOption = None,
    output: OutputOption = OutputFormat.table,
) -> None:
    """Show a document: where it came from, who may see it, and the text that the assistant reads."""

    async def ask() -> tuple[Document, str]:
        async with desk(reached(context), passphrase_fd) as open_desk:
            return await open_desk.library.shown(_id(document))

    found, text = asyncio.run(ask())

    def draw(console: Console) -> None:
        for name, value in asdict(found).items():
            said = ", ".join(value) if isinstance(value, tuple) else value
            told = cleaned(str(said)) if said is not None else "-"
            console.print(f"{name.replace('_', ' ') + ':':<14}{told}", markup=False)
        console.print(f"\n{text}", markup=False)

    emit(asdict(found) | {"text": text}, output, draw)


@app.command()
def delete(
    context: typer.Context,
    documents: Annotated[list[str], typer.Argument(metavar="ID…", help="Documents' ids, as `list` shows them.")],
    *,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
    passphrase_fd: PassphraseFdOption = None,
) -> None:
    """Take documents out, with their passages, words and vectors; the database's files hold nothing of them after.

    The write-ahead log and backups keep old pages until they are recycled.
    """
    ids = [_id(one) for one in documents]
    if not yes and not typer.confirm(f"delete {len(ids)} documents?", err=True):
        raise UsageError("nothing was deleted", "answer y, or give --yes")
    asyncio.run(_deleted(reached(context), ids, passphrase_fd))


async def _deleted(paths: SitePaths, ids: Sequence[uuid.UUID], passphrase_fd: int | None) -> None:
    async with desk(paths, passphrase_fd) as open_desk:
        named = [(await open_desk.library.shown(number))[0] for number in ids]  # all are there, or none is deleted
        try:
            for one in named:
                await open_desk.enter_deletion(one.digest, "deleted by the operator")
                await open_desk.library.delete(one.id)
                say(f"deleted: {cleaned(one.title)}")
        finally:
            await swept(open_desk.library)
    await retold(paths, {group for one in named for group in one.groups}, passphrase_fd)


@app.command()
def sweep(context: typer.Context, passphrase_fd: PassphraseFdOption = None) -> None:
    """Write the database's tables anew where they still hold something that was deleted; `list` says when they do.

    Commands that delete do this themselves, unless somebody else's transaction could still ask for it.
    """

    async def run() -> None:
        async with desk(reached(context), passphrase_fd) as open_desk:
            if not await open_desk.library.sweep():
                raise UnavailableError("somebody's open transaction could still ask for what was deleted", TRY_AGAIN)

    asyncio.run(run())


@app.command()
def search(  # noqa: PLR0913, PLR0917 - one parameter per option
    context: typer.Context,
    question: Annotated[str, typer.Argument(help="What somebody might ask.")],
    group: GroupOption = [],  # noqa: B006 - typer reads it and never changes it
    limit: Annotated[int, typer.Option(min=1, max=50, help="How many passages.")] = 5,
    passphrase_fd: PassphraseFdOption = None,
    output: OutputOption = OutputFormat.table,
) -> None:
    """Show which passages a question finds: for people of the groups named, or among all documents."""

    async def ask() -> tuple[Found, ...]:
        async with desk(reached(context), passphrase_fd) as open_desk:
            groups = known_groups(open_desk.site, group) or None
            asked = None if open_desk.embedder is None else await open_desk.embedder.meaning(question)
            return await open_desk.retrieval.found(question, asked, groups, limit, meaning_for(open_desk.site, groups))

    found = asyncio.run(ask())
    emit([asdict(one) for one in found], output, lambda console: _draw_found(console, found))


def _id(text: str) -> uuid.UUID:
    try:
        return uuid.UUID(text)
    except ValueError:
        raise UsageError(f"{text!r} is no document's id", "`sovereign document list` names them") from None


def _drawn(found: Sequence[Document]) -> Callable[[Console], None]:
    def draw(console: Console) -> None:
        table = Table("id", "title", "groups", "state", "pages", "passages", "imported")
        for one in found:
            state = one.state if one.reason is None else f"{one.state}: {one.reason}"
            pages = "" if one.pages is None else str(one.pages)
            cells = (str(one.id), cleaned(one.title), ", ".join(one.groups), state, pages, str(one.passages))
            table.add_row(*cells, f"{one.imported:%Y-%m-%d %H:%M}")
        console.print(table, markup=False)

    return draw


def _draw_found(console: Console, found: Sequence[Found]) -> None:
    for place, one in enumerate(found, start=1):
        page = f", page {one.page}" if one.page is not None else ""
        console.print(f"{place}  {' / '.join((cleaned(one.title), *one.headings))}{page}", markup=False, style="bold")
        excerpt = " ".join(one.body.split())
        console.print(f"   {excerpt[:_EXCERPT]}{'…' if len(excerpt) > _EXCERPT else ''}", markup=False)
    if not found:
        console.print("nothing was found", markup=False)
