"""`sovereign document vectors`: what was taken in is found by meaning too.

The gateway makes vectors by itself, when nobody is being answered; who does not want to wait for it does so here.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import typer  # noqa: TC002 - typer reads the annotations at run time

from appliance.cli.document_open import desk
from appliance.cli.reached import reached
from appliance.cli.terminal import PassphraseFdOption, progress, say
from appliance.errors import UnavailableError, UsageError

if TYPE_CHECKING:
    from appliance.memory.vectoring import Awaiting, Vectoring
    from appliance.site.paths import SitePaths

_LOOK_SECONDS = 2.0


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
        if open_desk.vectoring is None:
            raise UsageError(
                "site.yaml names no model for documents: words alone find them",
                "name one as documents.model, and run `sovereign install`",
            )
        await followed(open_desk.vectoring)


async def followed(vectoring: Vectoring) -> None:
    """Make what is missing, or watch who makes it, until nothing is. Raises ``UnavailableError``; what was made stays.

    Whoever brings documents meanwhile has their vectors made as well.
    """
    with progress("vectors", unit="steps") as report:
        done = 0

        def more(count: int) -> None:
            nonlocal done
            done += count
            report(done, max(total, done))

        while left := (await vectoring.awaiting()).passages:
            total = done + left
            report(done, total)
            if not await vectoring.make(more):
                await asyncio.sleep(_LOOK_SECONDS)
                done = total - (await vectoring.awaiting()).passages


async def tried(vectoring: Vectoring | None) -> None:
    """The same behind an import, which holds whatever becomes of vectors."""
    if vectoring is None:
        return
    try:
        await followed(vectoring)
    except UnavailableError as error:
        say(f"words find these documents, and meaning does not yet: {error.cause}; the gateway makes up for it")


def told_of(awaiting: Awaiting) -> str:
    """What an operator is told of passages that lack a vector. Pure."""
    many = f"{awaiting.passages} passages of {awaiting.documents} documents have no vectors of the site's model yet"
    return f"{many}: the gateway makes them when nobody is being answered; `sovereign document vectors` does so now"
