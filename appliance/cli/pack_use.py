"""`sovereign pack use`: a group is put under a pack, or under none, past the gate."""

from __future__ import annotations

import asyncio
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
from appliance.cli.learn_site import site_database
from appliance.cli.pack_choice import choose, recorded, settled, stands, told
from appliance.cli.pack_gate import Asking, Order, check_group, check_still, passed
from appliance.cli.pack_site import GroupOption, say_unlogged
from appliance.cli.pack_standing import about_pack
from appliance.cli.reached import reached
from appliance.cli.terminal import OutputFormat, OutputOption, PassphraseFdOption, emit, say
from appliance.errors import UsageError
from appliance.gateway.pack_choices import ChoiceStore, Chosen, chosen_or_none
from appliance.install.decisions import installed
from appliance.install.lock import site_lock
from appliance.install.pack_import import check_may
from appliance.packs.record import NONE
from appliance.packs.shelf import open_pack, pick

if TYPE_CHECKING:
    from appliance.install.pack_record import Action

PackOrNone = Annotated[
    str, typer.Argument(metavar="PACK", help="Its name, NAME@VERSION, the beginning of its digest, or `none`.")
]


def register(app: typer.Typer) -> None:
    """Add the command to the group ``pack``."""
    app.command()(use)


def use(  # noqa: PLR0913 - one parameter per option
    *,
    context: typer.Context,
    pack: PackOrNone,
    group: GroupOption,
    results: Annotated[
        Path | None,
        typer.Option("--results", metavar="DIR", help="Folder for the results; a trial that stopped goes on there."),
    ] = None,
    seed: SeedOption = 1,
    max_tokens: MaxTokensOption = 256,
    tokens: TokensOption = None,
    client: ClientOption = None,
    dry_run: TrialOption = False,
    passphrase_fd: PassphraseFdOption = None,
    output: OutputOption = OutputFormat.table,
) -> None:
    """Put a group under a pack of the site: its instructions, and its adapter if it names one, past the gate.

    The pack's cases and the group's gold cases are asked under what is in force and under the pack. Exit code 3 where a
    vital case fails or answers become worse beyond noise; the figures are in the audit log either way. With the pack
    that is in force already, nothing is asked, and a damaged record of it is written anew.
    """
    paths = reached(context)
    site = installed(paths)
    check_may(paths)
    check_group(site, group)
    order = Order(paths, site, group, None if pack == NONE else pick(paths.packs, pack), passphrase_fd)
    with site_lock(paths):
        now = asyncio.run(state(order))
    if order.digest in in_force(order, now):
        _mended(order, now, output, dry_run=dry_run)
        return
    if not passed(order, now, Asking(results, seed, max_tokens, tokens, client, dry_run, output)):
        return
    with site_lock(paths):
        unlogged = asyncio.run(_put_in_force(order, now))
    say(f"{group} answers under {told(order.digest)} from the next question on")
    say_unlogged(unlogged)


async def _put_in_force(order: Order, now: Chosen | None, action: Action = "use") -> str | None:
    """The choice, if nothing changed since ``now`` was read. The caller holds the site's lock."""
    async with site_database(order.paths, order.passphrase_fd) as pool:
        store = ChoiceStore(pool)
        found = (await settled(order.paths, store)).get(order.group)
        if chosen_or_none(found) != chosen_or_none(now):
            raise UsageError(f"{order.group} was put under another pack meanwhile", "see `sovereign pack list`")
        if action == "use":
            check_still(order)
        if order.wanted is not None:
            open_pack(order.paths.packs, order.digest)
        return await choose(
            order.paths,
            order.site,
            store,
            action=action,
            group=order.group,
            pack=order.digest,
            before=before_of(found, order.digest),
            former=chosen_or_none(found),
            about=about_pack(order.paths, order.digest),
        )


def in_force(order: Order, now: Chosen | None) -> set[str]:
    """What file and database say that the group answers under: none where neither has ever said anything."""
    said = {recorded(order.paths).get(order.group), now.pack if now is not None else None} - {None}
    return {one for one in said if one is not None} or {NONE}


def before_of(found: Chosen | None, digest: str) -> tuple[str, ...]:
    """What the group may go back to: where it answers under none, that is what there is before its first pack."""
    if found is None:
        return () if digest == NONE else (NONE,)
    return found.before if found.pack == digest else found.followed_by(digest)


def _mended(order: Order, now: Chosen | None, output: OutputFormat, *, dry_run: bool) -> None:
    """The group answers under it already, by file or database: no gate, and both say so afterwards."""
    group = order.group
    whole = stands(order.paths, group, now.pack if now is not None else None)
    if not whole and not dry_run:
        with site_lock(order.paths):
            say_unlogged(asyncio.run(_put_in_force(order, now, "mend")))
    shown = {"group": group, "pack": order.digest, "changed": False, "mended": not whole and not dry_run}
    words = "the record was written anew" if shown["mended"] else "nothing was changed"
    emit(shown, output, lambda console: console.print(f"{group} answers under it already; {words}", markup=False))


async def state(order: Order) -> Chosen | None:
    """What is in force for the group. The caller holds the site's lock."""
    async with site_database(order.paths, order.passphrase_fd) as pool:
        return (await settled(order.paths, ChoiceStore(pool))).get(order.group)
