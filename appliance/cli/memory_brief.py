"""`sovereign memory brief`: what groups are told overnight, and every way to have it otherwise."""

from __future__ import annotations

import asyncio
import uuid
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated, Any, TypeVar

import typer
from rich.table import Table

from appliance.cli.memory_compile import entering
from appliance.cli.memory_night import Energy
from appliance.cli.memory_site import Desk, briefed, desk
from appliance.cli.memory_warm import Warm
from appliance.cli.reached import reached
from appliance.cli.terminal import OutputFormat, OutputOption, PassphraseFdOption, emit, say
from appliance.errors import UsageError
from appliance.gateway.brief_values import check_acceptable
from appliance.gateway.errors import ConflictError, NotFoundError
from appliance.memory.briefs import changes, fingerprint
from appliance.memory.parsing.blocks import cleaned

if TYPE_CHECKING:
    from collections.abc import Awaitable, Sequence

    from rich.console import Console

    from appliance.gateway.brief_values import Brief, Run
    from appliance.memory.briefs import Changes, Line

T = TypeVar("T")
brief = typer.Typer(no_args_is_help=True, help="What groups are told before anybody asks; change and take it back.")
BriefArgument = Annotated[str, typer.Argument(metavar="BRIEF", help="A brief's id, or its group: the one in force.")]
_LIST = "`sovereign memory brief list` names them"


def register(app: typer.Typer) -> None:
    """Add the commands to the group ``memory``."""
    app.add_typer(brief, name="brief")


@brief.command("list")
def list_command(
    context: typer.Context, passphrase_fd: PassphraseFdOption = None, output: OutputOption = OutputFormat.table
) -> None:
    """List the runs of every group that has a brief, the latest first, with their state and why."""

    async def ask() -> tuple[Run, ...]:
        async with desk(reached(context), passphrase_fd) as open_desk:
            return await open_desk.store.listed(_groups(open_desk))

    found = asyncio.run(ask())
    emit([_told(one) for one in found], output, lambda console: _draw_list(console, found))


@brief.command()
def show(
    context: typer.Context,
    which: BriefArgument,
    passphrase_fd: PassphraseFdOption = None,
    output: OutputOption = OutputFormat.table,
) -> None:
    """Show a brief: each sentence with its source, what is new since the one before, and what is gone."""

    async def ask() -> tuple[Brief, Changes]:
        async with desk(reached(context), passphrase_fd) as open_desk:
            found = await _brief(open_desk, which)
            return found, changes(await _before(open_desk, found), found.lines)

    found, changed = asyncio.run(ask())
    new = set(changed.new)
    lines = [_line(at, one, new=one in new) for at, one in enumerate(found.lines, start=1)]
    gone = [{"text": one.text, "above": one.above, **one.spot.told()} for one in changed.gone]
    said = {**_told(found.run), "digest": found.digest, "lines": lines, "gone": gone}
    emit(said, output, lambda console: _draw(console, found, changed))


@brief.command()
def accept(context: typer.Context, which: BriefArgument, passphrase_fd: PassphraseFdOption = None) -> None:
    """Put a brief in force by your word: one that is too little judged, or that the gate refused. It is in the log."""

    async def act() -> Brief:
        async with desk(reached(context), passphrase_fd) as open_desk:
            found = await _brief(open_desk, which)
            check_acceptable(found.run)
            told = {"group": found.run.group, "accepted": True, "was": found.run.state}
            await entering(open_desk.paths)("update", str(found.run.id), told)
            made = await open_desk.store.put_in_force(found.run, accepted=True)
            await _computed(open_desk, made.run.group, made.text)
            return made

    made = asyncio.run(_refusing(act()))
    say(f"in force: {len(made.lines)} sentences for {made.run.group}, {made.digest}")


@brief.command()
def strike(
    context: typer.Context,
    which: BriefArgument,
    line: Annotated[int, typer.Argument(metavar="LINE", min=1, help="The line's number, as `show` numbers them.")],
    passphrase_fd: PassphraseFdOption = None,
) -> None:
    """Strike a line: from the next question on, the group is not told it, nor by any later brief."""

    async def act() -> tuple[Line, Brief]:
        async with desk(reached(context), passphrase_fd) as open_desk:
            found = await _brief(open_desk, which)
            if line > len(found.lines):
                raise UsageError(f"the brief has {len(found.lines)} lines", "`memory brief show` numbers them")
            struck = found.lines[line - 1]
            group = found.run.group
            told = {"group": group, "was": found.digest, "source": str(struck.spot.source), "line": line}
            await entering(open_desk.paths)("delete", str(found.run.id), told)
            await open_desk.store.strike(found.run.id, group, fingerprint(group, struck.spot.source, struck.text))
            left = await open_desk.store.one(found.run.id, [group])
            if left.run.state == "in_force":
                await _computed(open_desk, group, left.text)
            return struck, left

    struck, left = asyncio.run(_refusing(act()))
    say(f"struck: {cleaned(struck.text)}")
    say(f"{len(left.lines)} sentences are left, {left.digest or 'so nothing is told'}")


@brief.command()
def back(
    context: typer.Context,
    group: Annotated[str, typer.Argument(metavar="GROUP", help="The group whose brief is taken back.")],
    passphrase_fd: PassphraseFdOption = None,
) -> None:
    """Take a group's brief back: the one before is told again, or none where there was none."""

    async def act() -> Brief | None:
        async with desk(reached(context), passphrase_fd) as open_desk:
            briefed(open_desk.site, [group])
            found = await _brief(open_desk, group)
            told = {"group": group, "taken_back": True, "to": str(found.run.against or "")}
            await entering(open_desk.paths)("delete", str(found.run.id), told)
            before = await open_desk.store.back(group, found.run.id)
            await _computed(open_desk, group, before.text if before is not None else "")
            return before

    before = asyncio.run(_refusing(act()))
    say(f"in force: {before.run.id}, {len(before.lines)} sentences" if before is not None else "no brief is in force")


async def _refusing(acting: Awaitable[T]) -> T:
    """What comes of ``acting``; refusals of the store as an operator reads them."""
    try:
        return await acting
    except (ConflictError, NotFoundError) as error:
        raise UsageError(error.cause, error.hint or _LIST) from error


async def _brief(open_desk: Desk, which: str) -> Brief:
    """The brief of that id, or the one in force for that group. Raises ``UsageError``."""
    groups = _groups(open_desk)
    if which in groups:
        found = await open_desk.store.in_force(which)
        if found is None:
            raise UsageError(f"no brief is in force for {which}", _LIST)
        return found
    try:
        return await open_desk.store.one(uuid.UUID(which), groups)
    except (ValueError, NotFoundError):
        raise UsageError(f"{which!a} is no brief and no group that has one", _LIST) from None


async def _before(open_desk: Desk, found: Brief) -> tuple[Line, ...]:
    """What stands of the brief before ``found``."""
    if found.run.against is None:
        return ()
    try:
        return (await open_desk.store.one(found.run.against, [found.run.group])).lines
    except NotFoundError:
        return ()


async def _computed(open_desk: Desk, group: str, text: str) -> None:
    (one,) = (one for one in open_desk.site.groups if one.name == group)
    await Warm(open_desk, Energy(0))(one, text)


def _groups(open_desk: Desk) -> list[str]:
    """Groups that have a brief, or had one: site.yaml may have taken it from them."""
    return [group.name for group in open_desk.site.groups]


def _told(run: Run) -> dict[str, Any]:
    return {**asdict(run), "id": str(run.id), "against": str(run.against) if run.against is not None else None}


def _line(number: int, line: Line, *, new: bool) -> dict[str, Any]:
    return {"number": number, "new": new, "text": line.text, "above": line.above, **line.spot.told()}


def _draw_list(console: Console, found: Sequence[Run]) -> None:
    table = Table("brief", "group", "state", "lines", "made", "why")
    for run in found:
        lines = str((run.figures or {}).get("lines", ""))
        row = (str(run.id), run.group, run.state.replace("_", " "), lines, f"{run.created:%Y-%m-%d %H:%M}")
        table.add_row(*row, run.cause or "")
    console.print(table, markup=False)


def _draw(console: Console, found: Brief, changed: Changes) -> None:
    new = set(changed.new)
    run = found.run
    state = run.state.replace("_", " ")
    console.print(f"{run.group}: {state}, {found.digest or 'nothing stands any more'}", markup=False)
    if run.cause:
        console.print(f"why: {run.cause}", markup=False)
    for at, one in enumerate(found.lines, start=1):
        console.print(f"{'+' if one in new else ' '} {at:>2}  {cleaned(' '.join(one.text.split()))}", markup=False)
        console.print(f"      {_source(one)}", markup=False, style="dim")
    for one in changed.gone:
        console.print(f"-     {cleaned(' '.join(one.text.split()))}", markup=False)


def _source(line: Line) -> str:
    spot = line.spot
    if spot.kind == "ruling":
        return f"ruling {spot.source}, version {spot.version}"
    return f"{cleaned(line.above)} · document {spot.source}, characters {spot.first}-{spot.last}"
