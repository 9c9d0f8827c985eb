"""`sovereign learn rollout start`: a change that passed the gate is given to the first share of a group."""

from __future__ import annotations

import asyncio
import uuid
from pathlib import Path  # noqa: TC003 - typer reads the annotations at run time
from typing import TYPE_CHECKING, Annotated

import typer

from appliance.cli.asking_options import (  # noqa: TC001 - typer reads the annotations at run time
    ClientOption,
    MaxTokensOption,
    SeedOption,
    TokensOption,
    TrialOption,
)
from appliance.cli.memory_site import desk
from appliance.cli.memory_warm import new_arm
from appliance.cli.pack_choice import settled
from appliance.cli.pack_gate import Asking, Order, check_group, check_still, passed
from appliance.cli.pack_use import in_force, state
from appliance.cli.reached import reached
from appliance.cli.rollout_change import begin_change
from appliance.cli.rollout_site import field, planned
from appliance.cli.terminal import OutputFormat, OutputOption, PassphraseFdOption, say
from appliance.errors import UsageError
from appliance.gateway.errors import NotFoundError
from appliance.gateway.pack_choices import ChoiceStore, chosen_or_none
from appliance.gateway.rollout_values import NOTHING, Rollout
from appliance.install.decisions import installed
from appliance.install.lock import site_lock
from appliance.install.pack_import import check_may
from appliance.packs.record import NONE
from appliance.packs.shelf import open_pack, pick

if TYPE_CHECKING:
    from appliance.gateway.pack_choices import Chosen
    from appliance.site.config import SiteConfig
    from appliance.site.paths import SitePaths


def register(app: typer.Typer) -> None:
    """Add the command to the group ``learn rollout``."""
    app.command()(start)


def start(  # noqa: PLR0913 - one parameter per option
    *,
    context: typer.Context,
    group: Annotated[str, typer.Option("--group", metavar="GROUP", help="A group of site.yaml.")],
    pack: Annotated[
        str | None, typer.Option("--pack", metavar="PACK", help="A pack of the site, as for `pack use`.")
    ] = None,
    brief: Annotated[
        str | None, typer.Option("--brief", metavar="ID", help="A brief of the group that the gate let pass.")
    ] = None,
    change: Annotated[
        str | None, typer.Option("--change", metavar="NAME", help="Of site.yaml: one of `learning.changes`.")
    ] = None,
    before: Annotated[
        Path | None, typer.Option("--before", metavar="FILE", help="Results of what is in force, with --change.")
    ] = None,
    after: Annotated[
        Path | None, typer.Option("--after", metavar="FILE", help="Results of `learn evaluate --change NAME`.")
    ] = None,
    results: Annotated[
        Path | None, typer.Option("--results", metavar="DIR", help="Folder for the results, as for `pack use`.")
    ] = None,
    seed: SeedOption = 1,
    max_tokens: MaxTokensOption = 256,
    tokens: TokensOption = None,
    client: ClientOption = None,
    dry_run: TrialOption = False,
    passphrase_fd: PassphraseFdOption = None,
    output: OutputOption = OutputFormat.table,
) -> None:
    """Give a change to the first share of a group's people, past the gate, in the place of what is in force.

    A pack passes the gate here, as `pack use` has it; a brief passed it in the night that compiled it. From then on
    both are compared by what people do, and the change goes back by itself where they fare worse beyond noise.
    Example: `sovereign learn rollout start --group clerks --pack customer-care-en`.
    """
    paths = reached(context)
    site = installed(paths)
    check_may(paths)
    check_group(site, group)
    if [pack, brief, change].count(None) != len(("pack", "brief")):
        raise UsageError("a rollout is of one pack, brief or change", "name it with --pack, --brief or --change")
    if change is None and (before is not None or after is not None):
        raise UsageError("results before and after are of a change", "leave out --before and --after, or name --change")
    asyncio.run(_check_none_runs(paths, site, group, passphrase_fd))
    if change is not None:
        if dry_run or before is None or after is None:
            raise UsageError("a change passes the gate by its results", "name --before and --after, without --dry-run")
        with site_lock(paths):
            begun = asyncio.run(begin_change(paths, site, group, change, (before, after), passphrase_fd))
        say(f"rollout {begun.id}: {begun.share} percent of {group} from the next question on")
        return
    if brief is not None:
        if dry_run:
            raise UsageError("a brief was judged already, so there is nothing to try", "leave out --dry-run")
        with site_lock(paths):
            begun = asyncio.run(_begin_brief(paths, site, group, brief, passphrase_fd))
    else:
        assert pack is not None
        order = Order(paths, site, group, None if pack == NONE else pick(paths.packs, pack), passphrase_fd)
        with site_lock(paths):
            now = asyncio.run(state(order))
        if order.digest in in_force(order, now):
            raise UsageError(f"{group} answers under it already", "see `sovereign pack list`")
        if not passed(order, now, Asking(results, seed, max_tokens, tokens, client, dry_run, output)):
            return
        with site_lock(paths):
            begun = asyncio.run(_begin_pack(order, now))
    asyncio.run(_computed(paths, begun, passphrase_fd))
    say(f"rollout {begun.id}: {begun.share} percent of {group} from the next question on")


async def _check_none_runs(paths: SitePaths, site: SiteConfig, group: str, passphrase_fd: int | None) -> None:
    async with field(paths, site, passphrase_fd) as open_field:
        await open_field.store.check_none_runs(group)


async def _begin_pack(order: Order, now: Chosen | None) -> Rollout:
    """The rollout, if nothing changed since ``now`` was read. The caller holds the site's lock.

    Order: the log, the file's permit, the database's row. What cuts this off leaves a permit that permits nothing.
    """
    async with field(order.paths, order.site, order.passphrase_fd) as open_field:
        found = (await settled(order.paths, ChoiceStore(open_field.pool))).get(order.group)
        if chosen_or_none(found) != chosen_or_none(now):
            raise UsageError(f"{order.group} was put under another pack meanwhile", "see `sovereign pack list`")
        check_still(order)
        if order.wanted is not None:
            open_pack(order.paths.packs, order.digest)
        made = planned(order.site, order.group, "pack", chosen_or_none(now), order.digest)
        await open_field.enter("create", made, "start")
        await open_field.permit(made, open_field.most(made.share))
        return await open_field.store.begin(made)


async def _begin_brief(
    paths: SitePaths, site: SiteConfig, group: str, number: str, passphrase_fd: int | None
) -> Rollout:
    """The rollout of a brief that the gate let pass, against the one in force. The caller holds the site's lock."""
    async with field(paths, site, passphrase_fd) as open_field, desk(paths, passphrase_fd) as open_desk:
        try:
            found = await open_desk.store.one(uuid.UUID(number), [group])
        except (ValueError, NotFoundError):
            raise UsageError(f"{number!a} is no brief of {group}", "`sovereign memory brief list` names them") from None
        run = found.run
        if run.state != "judged" or not (run.figures or {}).get("passed"):
            state_of = run.state.replace("_", " ")
            raise UsageError(
                f"the gate did not let the brief pass: it is {state_of}", "accept it by name with `memory brief accept`"
            )
        now = await open_desk.store.in_force(group)
        against = now.run.id if now is not None else None
        if against != run.against or not found.lines:
            raise UsageError("the brief was judged against another than is in force", "the next night judges anew")
        made = planned(site, group, "brief", str(against or NOTHING), str(run.id))
        await open_field.enter("create", made, "start")
        return await open_field.store.begin(made)


async def _computed(paths: SitePaths, begun: Rollout, passphrase_fd: int | None) -> None:
    """Have the engines compute what the new arm is told, so that its first question does not wait for it."""
    async with desk(paths, passphrase_fd) as open_desk:
        group = next(one for one in open_desk.site.groups if one.name == begun.group)
        await new_arm(open_desk, group, begun)
