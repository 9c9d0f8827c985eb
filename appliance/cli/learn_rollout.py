"""`sovereign learn rollout`: where a change stands on its way to everybody, on with it, and back."""

from __future__ import annotations

import asyncio
import uuid
from dataclasses import asdict
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import TYPE_CHECKING, Annotated, Any

import typer

from appliance.cli import rollout_start
from appliance.cli.learn_site import described_site
from appliance.cli.memory_site import desk
from appliance.cli.pack_choice import choose, settled
from appliance.cli.pack_site import say_unlogged
from appliance.cli.pack_standing import about_pack, check_may_be_chosen
from appliance.cli.pack_use import before_of
from appliance.cli.reached import reached
from appliance.cli.rollout_change import check_kept
from appliance.cli.rollout_site import STATUS, Field, field
from appliance.cli.rollout_tables import draw
from appliance.cli.rollout_vital import broken
from appliance.cli.terminal import OutputFormat, OutputOption, PassphraseFdOption, emit, say
from appliance.errors import UsageError
from appliance.gateway.changes import KINDS
from appliance.gateway.pack_choices import ChoiceStore
from appliance.gateway.rollout_store import end_kept
from appliance.install.decisions import installed
from appliance.install.lock import site_lock
from appliance.install.pack_import import check_may
from appliance.learning.comparing import figures
from appliance.learning.errors import GateRefusedError
from appliance.packs.record import NONE
from appliance.packs.shelf import pick

if TYPE_CHECKING:
    from appliance.gateway.rollout_values import Rollout
    from appliance.learning.comparing import Comparison

rollout = typer.Typer(no_args_is_help=True, help="Give a change to a group by shares, compare, and go on or back.")
rollout_start.register(rollout)
_BY_THE_GATE = "nothing was asked: vital cases of a change were asked for the results that it began with"
_ASKED = {
    "pack": "every vital case holds",
    "brief": "a brief's cases were asked in the night that judged it",
    **dict.fromkeys(KINDS, _BY_THE_GATE),
}
GroupOption = Annotated[str, typer.Option("--group", metavar="GROUP", help="The group whose rollout it is.")]


def register(app: typer.Typer) -> None:
    """Add the commands to the group ``learn``."""
    app.add_typer(rollout, name="rollout")


@rollout.command()
def status(
    context: typer.Context, passphrase_fd: PassphraseFdOption = None, output: OutputOption = OutputFormat.table
) -> None:
    """Show each group's rollouts: what runs, both arms in figures, the evidence of harm, and what became of others."""
    paths = reached(context)
    site = described_site(paths)

    async def ask() -> list[tuple[Rollout, Comparison | None]]:
        async with field(paths, site, passphrase_fd) as open_field:
            found = await open_field.store.listed([group.name for group in site.groups])
            return [
                (one, open_field.seen(one, await open_field.store.rows(one)) if one.state == "running" else None)
                for one in found
            ]

    found = asyncio.run(ask())
    emit([_shown(*one) for one in found], output, lambda console: draw(console, found))


@rollout.command()
def advance(context: typer.Context, group: GroupOption, passphrase_fd: PassphraseFdOption = None) -> None:
    """Begin the next stage; after the last one, put the change in force for good.

    The vital cases of a pack are asked again first: as `check` has it, one that fails takes the pack back.
    Refused while fewer people and answers were seen than site.yaml asks for and the stage's hours are not over, and
    where the change is about to go back. The figures are in the audit log first.
    """
    paths = reached(context)
    site = installed(paths)
    check_may(paths)
    asked = _check_vital(context, group, passphrase_fd)

    async def act() -> tuple[Rollout, bool, str | None]:
        async with field(paths, site, passphrase_fd) as open_field:
            found = await open_field.running(group)
            if (found.id, found.stage) != (asked.id, asked.stage):
                raise UsageError("the rollout went on meanwhile", "look at it, then advance again")
            if found.kind == "pack" and found.change != NONE:
                check_may_be_chosen(paths, pick(paths.packs, found.change))
            if found.last:
                if found.kind in KINDS:
                    check_kept(site, found)
                return found, True, await _kept(open_field, found, passphrase_fd)
            async with open_field.store.held(found.id) as held:
                if held.rollout.stage != found.stage:
                    raise UsageError("the rollout went on meanwhile", "look at it, then advance again")
                seen = open_field.seen(found, await held.rows())
                _check_may_go_on(open_field, held.rollout, seen)
                percent = found.stages[found.stage + 1]
                await open_field.enter("update", found, "advance", seen, percent=percent)
                if found.kind != "brief":
                    await open_field.permit(found, open_field.most(percent))
                await held.go_on(figures(seen))
            return await open_field.running(group), False, None

    with site_lock(paths):
        found, kept, unlogged = asyncio.run(act())
    if kept:
        say(f"rollout {found.id} is kept: all of {group} is answered under its change for good")
    else:
        say(f"rollout {found.id}: {found.share} percent of {group} from the next question on")
    say_unlogged(unlogged)


@rollout.command()
def check(context: typer.Context, group: GroupOption, passphrase_fd: PassphraseFdOption = None) -> None:
    """Ask the vital cases under a pack that is rolled out; one that fails takes it back at once (exit code 3)."""
    check_may(reached(context))
    asked = _check_vital(context, group, passphrase_fd)
    say(_ASKED[asked.kind])


@rollout.command()
def back(context: typer.Context, group: GroupOption, passphrase_fd: PassphraseFdOption = None) -> None:
    """Take the change back from everybody: at once, without a gate. What was in force goes on for the whole group."""
    check_may(reached(context))
    found = _taken_back(context, group, "by hand", passphrase_fd)
    say(f"rollout {found.id} was taken back: all of {group} is answered as before")


def _check_vital(context: typer.Context, group: str, passphrase_fd: int | None) -> Rollout:
    """The rollout whose vital cases hold. Raises ``GateRefusedError`` where one fails: the rollout is over then."""
    paths = reached(context)
    site = installed(paths)

    async def ask() -> Rollout:
        async with field(paths, site, passphrase_fd) as open_field:
            return await open_field.running(group)

    asked = asyncio.run(ask())
    if failed := broken(paths, site, asked, passphrase_fd):
        more = f" and {len(failed) - 1} more" if len(failed) > 1 else ""
        reason = f"vital case {failed[0]}{more} does not hold"
        _taken_back(context, group, reason, passphrase_fd, asked)
        raise GateRefusedError(f"the rollout was taken back: {reason}", "mend the pack, or the case")
    return asked


def _taken_back(
    context: typer.Context, group: str, reason: str, passphrase_fd: int | None, only: Rollout | None = None
) -> Rollout:
    """The rollout as it was; the log has its figures and the reason first. Raises ``UsageError`` for another's."""
    paths = reached(context)
    site = installed(paths)

    async def act() -> Rollout:
        async with field(paths, site, passphrase_fd) as open_field:
            found = await open_field.running(group)
            if only is not None and found.id != only.id:
                raise UsageError(f"another rollout runs in {group} meanwhile", STATUS)
            async with open_field.store.held(found.id) as held:
                seen = open_field.seen(held.rollout, await held.rows())
                await open_field.enter("delete", held.rollout, "back", seen, reason=reason)
                await held.end("back", {"reason": reason, **figures(seen)})
            await open_field.permit()
            return found

    with site_lock(paths):
        return asyncio.run(act())


async def _kept(open_field: Field, found: Rollout, passphrase_fd: int | None) -> str | None:
    """Put the change in force for good; rollout and choice end in one transaction."""
    seen = open_field.seen(found, await open_field.store.rows(found))
    _check_may_go_on(open_field, found, seen)
    await open_field.enter("update", found, "keep", seen)
    ends = partial(_ends, found, figures(seen))
    if found.kind == "brief":
        async with desk(open_field.paths, passphrase_fd) as open_desk:
            brief = await open_desk.store.one(uuid.UUID(found.change), [found.group])
            await open_desk.store.put_in_force(brief.run, within=ends)
        return None
    if found.kind in KINDS:
        async with open_field.pool.begin() as connection:
            await ends(connection)
        await open_field.permit()
        return None
    store = ChoiceStore(open_field.pool)
    now = (await settled(open_field.paths, store)).get(found.group)
    unlogged = await choose(
        open_field.paths,
        open_field.site,
        store,
        action="use",
        group=found.group,
        pack=found.change,
        before=before_of(now, found.change),
        former=found.former,
        about=about_pack(open_field.paths, found.change),
        within=ends,
    )
    await open_field.permit()
    return unlogged


async def _ends(found: Rollout, said: dict[str, Any], connection: Any) -> None:
    await end_kept(connection, found.id, said)


def _check_may_go_on(open_field: Field, found: Rollout, seen: Comparison) -> None:
    if found.verdict is not None or seen.back is not None:
        reason = seen.back or (found.verdict or {}).get("figures", {}).get("reason", "")
        raise UsageError(f"it is about to be decided by itself: {reason}", "see `sovereign learn rollout status`")
    bounds = open_field.site.learning.rollout
    lasted = datetime.now(UTC) - found.stage_since
    if not seen.enough and lasted < timedelta(hours=bounds.hours):
        counted = max(seen.evidence.new, seen.new.people if found.last else 0)
        raise UsageError(
            f"too little was seen of the new arm: {counted} of {bounds.people} people and {seen.new.answers} of "
            f"{bounds.answers} answers",
            f"wait; after {bounds.hours:g} hours of the stage you may go on with fewer",
        )


def _shown(found: Rollout, seen: Comparison | None) -> dict[str, Any]:
    """A rollout for a program."""
    told = {name: str(value) if name == "id" else value for name, value in asdict(found).items()}
    moments = {name: value.isoformat() for name, value in told.items() if isinstance(value, datetime)}
    return {**told, **moments, "percent": found.share, "comparison": asdict(seen) if seen is not None else None}
