"""A pack past the gate: what `pack use` and `learn rollout start` ask before a group is put under it."""

from __future__ import annotations

import asyncio
from contextlib import nullcontext
from dataclasses import dataclass
from typing import TYPE_CHECKING

from appliance.cli.learn_evaluate import client_of, share_of
from appliance.cli.learn_site import case_store, enter
from appliance.cli.pack_standing import check_may_be_chosen
from appliance.cli.pack_tables import draw, planned
from appliance.cli.pack_trial import Trial, chat_models, tried
from appliance.cli.terminal import OutputFormat, emit, say
from appliance.errors import UsageError
from appliance.gateway.pack_choices import Chosen, chosen_or_none
from appliance.install.decisions import installed
from appliance.install.own_folder import own_folder
from appliance.learning.errors import GateRefusedError
from appliance.packs.cases import cases_of
from appliance.packs.errors import PackLostError
from appliance.packs.record import NONE
from appliance.packs.shelf import open_pack

if TYPE_CHECKING:
    from pathlib import Path

    from appliance.cli.pack_trial import Tried
    from appliance.learning.cases import Case
    from appliance.packs.shelf import Shelved
    from appliance.site.config import SiteConfig
    from appliance.site.paths import SitePaths


@dataclass(frozen=True)
class Order:
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


@dataclass(frozen=True)
class Asking:
    """How its cases are asked, as the options of the commands say."""

    results: Path | None
    seed: int
    max_tokens: int
    tokens: int | None
    client: str | None
    dry_run: bool
    output: OutputFormat


def passed(order: Order, now: Chosen | None, how: Asking) -> bool:
    """Have the gate decide on the pack, compared with what is in force; False: it was only said what would be asked.

    Raises ``GateRefusedError`` where it does not pass; the figures are in the log either way.
    """
    check_may_be_chosen(order.paths, order.wanted)
    program = client_of(order.site, how.client)
    if order.group not in program.groups:
        raise UsageError(f"{order.group} is not a group of {program.id}", f"it has {', '.join(program.groups)}")
    cases = cases_for(order, now)
    if not cases:
        raise UsageError(
            f"there is no case for {order.group}", "import gold cases, or return with `sovereign pack back`"
        )
    former = _askable(order.paths, chosen_or_none(now))
    if how.dry_run:
        models = [one.name for one in chat_models(order.site, order.group)]
        planned({"group": order.group, "pack": order.digest, "former": former, "models": models}, cases, how.output)
        return False
    budget = how.tokens or share_of(order.site, (order.group,))
    with own_folder() if how.results is None else nullcontext(_folder(how.results)) as folder:
        trial = Trial(order.group, order.digest, former, cases, how.seed, how.max_tokens, budget, folder)
        found = asyncio.run(tried(order.paths, order.site, program, trial, order.passphrase_fd))
    _judge(order, former, found, how.output)
    return True


def cases_for(order: Order, now: Chosen | None) -> tuple[Case, ...]:
    """What is asked of the pack: its own cases, and the group's gold cases."""
    return (*_own(order, now), *asyncio.run(_gold(order)))


def _judge(order: Order, former: str, found: tuple[Tried, ...], output: OutputFormat) -> None:
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


async def _gold(order: Order) -> list[Case]:
    """The site's active cases of the group, for that group alone."""
    async with case_store(order.paths, order.passphrase_fd) as store:
        return [one.case for one in await store.current([order.group], ("active",))]


def _own(order: Order, now: Chosen | None) -> list[Case]:
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


def check_group(site: SiteConfig, group: str) -> None:
    """Raise ``UsageError`` for what is no group that a model answers."""
    known = [one.name for one in site.groups if one.models]
    if group not in known:
        raise UsageError(f"{group} is not a group of this site that uses a model", f"there are {', '.join(known)}")


def check_still(order: Order) -> None:
    """A trial takes hours: what let it begin holds at its end too. Raises ``PackRefusedError``, ``UsageError``."""
    if installed(order.paths) != order.site:
        raise UsageError("site.yaml was changed meanwhile, and another site was tried", "run it again")
    check_may_be_chosen(order.paths, order.wanted)


def _folder(results: Path) -> Path:
    results.mkdir(mode=0o700, parents=True, exist_ok=True)
    return results
