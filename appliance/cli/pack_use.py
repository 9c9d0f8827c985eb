"""`sovereign pack use`: a group is put under a pack, or under none, past the gate."""

from __future__ import annotations

import asyncio
import tempfile
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from appliance.cli.learn_evaluate import client_of, share_of
from appliance.cli.learn_site import case_store, enter, site_database
from appliance.cli.pack_choice import choose, recorded, settled, stands, told
from appliance.cli.pack_site import GroupOption, say_unlogged
from appliance.cli.pack_standing import about_pack, check_may_be_chosen
from appliance.cli.pack_tables import draw, planned
from appliance.cli.pack_trial import Trial, chat_models, tried
from appliance.cli.terminal import OutputFormat, OutputOption, PassphraseFdOption, emit, say, site_paths
from appliance.errors import UsageError
from appliance.gateway.pack_choices import ChoiceStore, Chosen, chosen_or_none
from appliance.install.decisions import installed
from appliance.install.lock import site_lock
from appliance.install.pack_import import check_may
from appliance.learning.errors import GateRefusedError
from appliance.packs.cases import cases_of
from appliance.packs.errors import PackLostError
from appliance.packs.record import NONE
from appliance.packs.shelf import open_pack, pick

if TYPE_CHECKING:
    from appliance.cli.pack_trial import Tried
    from appliance.install.pack_record import Action
    from appliance.learning.cases import Case
    from appliance.packs.shelf import Shelved
    from appliance.site.config import SiteConfig
    from appliance.site.paths import SitePaths

PackOrNone = Annotated[
    str, typer.Argument(metavar="PACK", help="Its name, NAME@VERSION, the beginning of its digest, or `none`.")
]


@dataclass(frozen=True)
class _Order:
    """What was asked, at one site. ``wanted`` None: no pack."""

    paths: SitePaths
    site: SiteConfig
    group: str
    wanted: Shelved | None
    passphrase_fd: int | None

    @property
    def digest(self) -> str:
        """Of what is to be in force."""
        return self.wanted.digest if self.wanted is not None else NONE


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
    seed: Annotated[int, typer.Option(min=0, max=2**31 - 1, help="Draws the answers.")] = 1,
    max_tokens: Annotated[int, typer.Option(min=1, max=4096, help="The most tokens of an answer.")] = 256,
    tokens: Annotated[
        int | None, typer.Option(min=1, help="Stop after so many tokens; default: a quarter of the group's day.")
    ] = None,
    client: Annotated[
        str | None, typer.Option(help="Service client that asks; default: the one that evaluates.")
    ] = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Say what would be asked and changed; do neither.")
    ] = False,
    passphrase_fd: PassphraseFdOption = None,
    output: OutputOption = OutputFormat.table,
) -> None:
    """Put a group under a pack of the site: its instructions, and its adapter if it names one, past the gate.

    The pack's cases and the group's gold cases are asked under what is in force and under the pack. Exit code 3 where a
    vital case fails or answers become worse beyond noise; the figures are in the audit log either way. With the pack
    that is in force already, nothing is asked, and a damaged record of it is written anew.
    """
    paths = site_paths(context)
    site = installed(paths)
    check_may(paths)
    _check_group(site, group)
    order = _Order(paths, site, group, None if pack == NONE else pick(paths.packs, pack), passphrase_fd)
    with site_lock(paths):
        now = asyncio.run(_state(order))
    if order.digest in _in_force(order, now):
        _mended(order, now, output, dry_run=dry_run)
        return
    check_may_be_chosen(order.paths, order.wanted)
    program = client_of(site, client)
    if group not in program.groups:
        raise UsageError(f"{group} is not a group of {program.id}", f"it has {', '.join(program.groups)}")
    cases = (*_own(order, now), *asyncio.run(_gold(order)))
    if not cases:
        raise UsageError(f"there is no case for {group}", "import gold cases, or return with `sovereign pack back`")
    former = _askable(paths, chosen_or_none(now))
    if dry_run:
        models = [one.name for one in chat_models(site, group)]
        planned({"group": group, "pack": order.digest, "former": former, "models": models}, cases, output)
        return
    budget = tokens or share_of(site, (group,))
    with tempfile.TemporaryDirectory() if results is None else nullcontext(_folder(results)) as folder:
        trial = Trial(group, order.digest, former, cases, seed, max_tokens, budget, Path(folder))
        found = asyncio.run(tried(paths, site, program, trial, passphrase_fd))
    _judge(order, former, found, output)
    with site_lock(paths):
        unlogged = asyncio.run(_put_in_force(order, now))
    say(f"{group} answers under {told(order.digest)} from the next question on")
    say_unlogged(unlogged)


def _judge(order: _Order, former: str, found: tuple[Tried, ...], output: OutputFormat) -> None:
    """Enter each decision into the log, then tell it. Raises ``GateRefusedError`` where one refuses."""
    for one in found:
        figures = {"pack": order.digest, "former": former, "group": order.group, **one.figures()}
        enter(order.paths, what="gate", target=order.digest, figures=figures, success=one.decision.passed)
    shown = {
        "group": order.group,
        "pack": order.digest,
        "former": former,
        "passed": all(one.decision.passed for one in found),
        "models": [one.figures() for one in found],
    }
    emit(shown, output, lambda console: draw(console, found))
    refusals = [f"{one.model}: {refusal}" for one in found for refusal in one.decision.refusals]
    if refusals:
        more = f", and {len(refusals) - 1} more" if len(refusals) > 1 else ""
        raise GateRefusedError(
            f"the pack does not pass: {refusals[0]}{more}", "what is in force stays; mend the pack, or the cases"
        )


async def _put_in_force(order: _Order, now: Chosen | None, action: Action = "use") -> str | None:
    """The choice, if nothing changed since ``now`` was read. The caller holds the site's lock."""
    async with site_database(order.paths, order.passphrase_fd) as pool:
        store = ChoiceStore(pool)
        found = (await settled(order.paths, store)).get(order.group)
        if chosen_or_none(found) != chosen_or_none(now):
            raise UsageError(f"{order.group} was put under another pack meanwhile", "see `sovereign pack list`")
        if action == "use":
            _check_still(order)
        if order.wanted is not None:
            open_pack(order.paths.packs, order.digest)
        return await choose(
            order.paths,
            order.site,
            store,
            action=action,
            group=order.group,
            pack=order.digest,
            before=_before(found, order.digest),
            former=chosen_or_none(found),
            about=about_pack(order.paths, order.digest),
        )


def _in_force(order: _Order, now: Chosen | None) -> set[str]:
    """What file and database say that the group answers under: none where neither has ever said anything."""
    said = {recorded(order.paths).get(order.group), now.pack if now is not None else None} - {None}
    return {one for one in said if one is not None} or {NONE}


def _before(found: Chosen | None, digest: str) -> tuple[str, ...]:
    """What the group may go back to: where it answers under none, that is what there is before its first pack."""
    if found is None:
        return () if digest == NONE else (NONE,)
    return found.before if found.pack == digest else found.followed_by(digest)


def _mended(order: _Order, now: Chosen | None, output: OutputFormat, *, dry_run: bool) -> None:
    """The group answers under it already, by file or database: no gate, and both say so afterwards."""
    group = order.group
    whole = stands(order.paths, group, now.pack if now is not None else None)
    if not whole and not dry_run:
        with site_lock(order.paths):
            say_unlogged(asyncio.run(_put_in_force(order, now, "mend")))
    shown = {"group": group, "pack": order.digest, "changed": False, "mended": not whole and not dry_run}
    words = "the record was written anew" if shown["mended"] else "nothing was changed"
    emit(shown, output, lambda console: console.print(f"{group} answers under it already; {words}", markup=False))


async def _state(order: _Order) -> Chosen | None:
    async with site_database(order.paths, order.passphrase_fd) as pool:
        return (await settled(order.paths, ChoiceStore(pool))).get(order.group)


async def _gold(order: _Order) -> list[Case]:
    """The site's active cases of the group, for that group alone."""
    async with case_store(order.paths, order.passphrase_fd) as store:
        return [one.case for one in await store.current([order.group], ("active",))]


def _own(order: _Order, now: Chosen | None) -> list[Case]:
    """Cases of the pack; where the group is to answer under none, those of the pack that it leaves."""
    if order.wanted is not None:
        return cases_of(order.wanted.pack, order.group)
    try:
        return cases_of(open_pack(order.paths.packs, chosen_or_none(now)), order.group)
    except PackLostError:
        return []


def _askable(paths: SitePaths, former: str) -> str:
    """What the pack is compared with: what is in force, or none where that is not there any more."""
    if former == NONE:
        return NONE
    try:
        open_pack(paths.packs, former)
    except PackLostError as error:
        say(f"{error.cause}: compared is with the site's own instructions")
        return NONE
    return former


def _check_group(site: SiteConfig, group: str) -> None:
    known = [one.name for one in site.groups if one.models]
    if group not in known:
        raise UsageError(f"{group} is not a group of this site that uses a model", f"there are {', '.join(known)}")


def _check_still(order: _Order) -> None:
    """A trial takes hours: what let it begin holds at its end too. Raises ``PackRefusedError``, ``UsageError``."""
    if installed(order.paths) != order.site:
        raise UsageError("site.yaml was changed meanwhile, and another site was tried", "run it again")
    check_may_be_chosen(order.paths, order.wanted)


def _folder(results: Path) -> str:
    results.mkdir(mode=0o700, parents=True, exist_ok=True)
    return str(results)
