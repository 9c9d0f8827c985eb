"""`sovereign document vectors`: what was taken in is found by meaning too.

The gateway makes vectors by itself, when nobody is being answered; who does not want to wait for it does so here.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import typer  # noqa: TC002 - typer reads the annotations at run time
from sqlalchemy.exc import SQLAlchemyError

from appliance.cli.document_open import desk
from appliance.cli.reached import reached
from appliance.cli.terminal import PassphraseFdOption, progress, say
from appliance.errors import SovereignError, UsageError
from appliance.memory.errors import UnreadableError

if TYPE_CHECKING:
    import uuid
    from collections.abc import Sequence

    from appliance.memory.vectoring import Awaiting, Vectoring
    from appliance.site.paths import SitePaths

_TURN_SECONDS = 0.1


def register(app: typer.Typer) -> None:
    """Add the command to the group ``document``."""
    app.command()(vectors)


def vectors(context: typer.Context, passphrase_fd: PassphraseFdOption = None) -> None:
    """Make the vectors that documents lack: of what was just taken in, and of everything after a change of the model.

    Until then words find them. It may be ended at any time: the gateway goes on when nobody is being answered.
    """
    asyncio.run(_made(reached(context), passphrase_fd))


async def _made(paths: SitePaths, passphrase_fd: int | None) -> None:
    async with desk(paths, passphrase_fd) as open_desk:
        if open_desk.embedder is None:
            raise UsageError(
                "site.yaml names no model for documents: words alone find them",
                "name one as documents.model, and run `sovereign install`",
            )
        await followed(open_desk.vectoring(open_desk.embedder))


async def followed(vectoring: Vectoring) -> None:
    """Give documents vectors until none lacks any, by turns with whoever else does.

    Raises ``UnavailableError`` where the model does not answer, or gave some none; what was made stays.
    """
    with progress("vectors", unit="steps") as report:
        total = 0
        while left := (await vectoring.awaiting()).passages:
            total = max(total, left)  # documents may come meanwhile
            report(total - left, total)
            while (lot := await vectoring.some()) == "busy":  # noqa: ASYNC110 - another process tells nobody
                await asyncio.sleep(_TURN_SECONDS)
            if lot == "done":
                break
        else:
            if total:
                report(total, total)
    if vectoring.unread:
        number, cause = next(iter(vectoring.unread.items()))
        raise UnreadableError(f"{len(vectoring.unread)} documents got no vectors, {number} among them: {cause}")


def tried(paths: SitePaths, passphrase_fd: int | None, documents: Sequence[uuid.UUID]) -> None:
    """The same for ``documents`` behind an import, which holds whatever becomes of vectors; it may be ended."""
    if not documents:
        return
    try:
        asyncio.run(_of(paths, passphrase_fd, documents))
    except UnreadableError as error:
        say(f"words find these documents: {error.cause}")
    except (SovereignError, SQLAlchemyError) as error:
        cause = error.cause if isinstance(error, SovereignError) else "the database refused"
        say(f"words find these documents, and meaning does not yet: {cause}; the gateway makes up for it")
    except KeyboardInterrupt:
        say("words find these documents; the gateway makes the rest of their vectors")


async def _of(paths: SitePaths, passphrase_fd: int | None, documents: Sequence[uuid.UUID]) -> None:
    async with desk(paths, passphrase_fd) as open_desk:
        if open_desk.embedder is not None:
            await followed(open_desk.vectoring(open_desk.embedder, documents))


def told_of(awaiting: Awaiting) -> str:
    """What an operator is told of passages that lack a vector. Pure."""
    many = f"{awaiting.passages} passages of {awaiting.documents} documents have no vectors of the site's model yet"
    return f"{many}: the gateway makes them when nobody is being answered; `sovereign document vectors` does not wait"
