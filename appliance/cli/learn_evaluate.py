"""`sovereign learn evaluate`: every active case asked of the running site, as people of its groups are answered."""

from __future__ import annotations

import asyncio
from pathlib import Path  # noqa: TC003 - typer reads the annotations at run time
from typing import TYPE_CHECKING, Annotated, Any

import typer

from appliance.cli.asking_options import (  # noqa: TC001 - typer reads the annotations at run time
    ClientOption,
    MaxTokensOption,
)
from appliance.cli.change_results import change_digest
from appliance.cli.learn import GroupOption  # noqa: TC001 - typer reads the annotations at run time
from appliance.cli.learn_results import opened
from appliance.cli.learn_sign_in import asking
from appliance.cli.learn_site import case_store, described_site, enter
from appliance.cli.reached import reached
from appliance.cli.terminal import (
    OutputFormat,
    OutputOption,
    PassphraseFdOption,
    emit,
    progress,
    say,
)
from appliance.errors import UsageError
from appliance.gateway.sampling import DEFAULT_TEMPERATURE, DEFAULT_TOP_P
from appliance.learning.cases import digest_of
from appliance.learning.results import MOST_DRAWN, Run, Withdrawn
from appliance.learning.running import Budget, questions, run, summary
from appliance.packs.record import NONE
from appliance.packs.shelf import pick

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rich.console import Console

    from appliance.cli.learn_results import ResultFile
    from appliance.learning.cases import Case
    from appliance.site.config import SiteConfig
    from appliance.site.groups import ServiceClient
    from appliance.site.paths import SitePaths

_MINUTE = 60.0
_SHARE = 4
"""A run takes one of so many parts of a group's tokens of the day."""


def register(app: typer.Typer) -> None:
    """Add the command to the group ``learn``."""
    app.command()(evaluate)


def evaluate(  # noqa: PLR0913, PLR0917 - one parameter per option
    context: typer.Context,
    out: Annotated[Path, typer.Option("--out", metavar="FILE", help="Results, a line a case; a run goes on there.")],
    model: Annotated[
        str | None, typer.Option(help="Which model; default: the first of site.yaml that each group uses.")
    ] = None,
    group: GroupOption = [],  # noqa: B006 - typer reads it and never changes it
    seed: Annotated[int, typer.Option(min=0, max=2**31 - 1, help="Draws the answers; the gate wants equal seeds.")] = 1,
    max_tokens: MaxTokensOption = 256,
    tokens: Annotated[
        int | None,
        typer.Option(
            min=1, help="Stop after so many tokens, prompts included; default: a quarter of a group's smallest day."
        ),
    ] = None,
    minutes: Annotated[int | None, typer.Option(min=1, help="Stop after so many minutes.")] = None,
    client: ClientOption = None,
    pack: Annotated[
        str | None,
        typer.Option("--pack", metavar="PACK", help="Try a pack of the site, or `none`, for these questions alone."),
    ] = None,
    change: Annotated[
        str | None, typer.Option("--change", metavar="NAME", help="Try a change of site.yaml (`learning.changes`).")
    ] = None,
    passphrase_fd: PassphraseFdOption = None,
    output: OutputOption = OutputFormat.table,
) -> None:
    """Ask every active case of the running site and score the answers; run again, it goes on where it was.

    Answers are drawn as the page draws them, with the group's instructions and adapter. Each is an entry of the audit
    log, of purpose `evaluation`. Example: `sovereign learn evaluate --out before.jsonl`.
    """
    paths = reached(context)
    site = described_site(paths)
    program = client_of(site, client)
    groups = _groups(program, group)
    named = model_of(site, model, groups)
    cases = asyncio.run(_cases(paths, passphrase_fd))
    asked = questions(cases, groups, seed)
    if len(asked) > MOST_DRAWN:
        raise UsageError(f"{len(asked)} questions are more than {MOST_DRAWN}", "name groups, with --group")
    run_of = Run(
        site=site.name,
        model=named,
        groups=tuple(sorted(groups)),
        seed=seed,
        max_tokens=max_tokens,
        temperature=DEFAULT_TEMPERATURE,
        top_p=DEFAULT_TOP_P,
        cases=digest_of({one.case.id: one.case for one in asked}.values()),
        pack=pack if pack in {None, NONE} else pick(paths.packs, str(pack)).digest,
        change=change,
        change_digest=change_digest(site, groups, change),
        drawn=tuple(one.drawn for one in asked),
    )
    most = tokens or share_of(site, groups)
    budget = Budget(most, minutes * _MINUTE if minutes is not None else None)
    with opened(out, run_of) as results:
        now = [one for one in asked if one.drawn in results.left]
        enter(paths, what="evaluation", target=results.run.cases, figures=_begun(results, len(now), most))

        async def ask() -> bool:
            async with asking(paths, site, program, passphrase_fd) as asker_of:
                with progress("cases", unit="steps") as report:
                    return await run(now, asker_of(results.run), results.keep, budget, report)

        try:
            whole_run = asyncio.run(ask()) if now else True
            if whole_run:
                withdraw(results)
        finally:
            figures = summary(results.run, results.rows, len(results.withdrawn))
            enter(paths, what="evaluation", target=results.run.cases, figures=figures, action="update")
    emit(figures | {"complete": whole_run}, output, lambda console: _draw(console, figures))
    for row in results.rows:
        if row.refused is not None:
            say(f"case {row.case} for {row.group} was refused ({row.refused}) and is worth 0: retire or shorten it")
    if not whole_run:
        say(f"{len(results.left)} of {results.run.count} cases are left: {most} tokens, the time or a quota is used up")
        say("run it again and it goes on")


def withdraw(results: ResultFile) -> None:
    """Note what was drawn and cannot be asked any more, so that the run is whole."""
    for drawn in sorted(results.left):
        results.keep(Withdrawn(drawn=drawn))


async def _cases(paths: SitePaths, passphrase_fd: int | None) -> list[Case]:
    async with case_store(paths, passphrase_fd) as store:
        return [one.case for one in await store.current(None, ("active",))]


def client_of(site: SiteConfig, named: str | None) -> ServiceClient:
    """The client that evaluates: the one ``named``, or the only one. Raises ``UsageError``."""
    able = [one for one in site.service_clients if one.evaluates and named in {None, one.id}]
    if len(able) != 1:
        which = f"{named} is not a client that evaluates" if named else f"{len(able)} clients evaluate"
        raise UsageError(which, "name one of service_clients in site.yaml that has `evaluates: true`, with --client")
    return able[0]


def _groups(program: ServiceClient, wanted: Sequence[str]) -> tuple[str, ...]:
    if unknown := [name for name in wanted if name not in program.groups]:
        raise UsageError(f"{unknown[0]} is not a group of {program.id}", f"it has {', '.join(program.groups)}")
    return tuple(wanted) or program.groups


def model_of(site: SiteConfig, named: str | None, groups: Sequence[str]) -> str:
    """The model that is asked; each of ``groups`` may use it."""
    known = [model.name for model in site.models if model.name != site.documents.model]
    if named is not None and named not in known:
        raise UsageError(f"{named} is not a model that answers at this site", f"it has {', '.join(known)}")
    used = {group.name: group.models for group in site.groups}
    shared = [name for name in known if all(name in used.get(group, ()) for group in groups)]
    if named is not None and named not in shared:
        without = next(group for group in groups if named not in used.get(group, ()))
        raise UsageError(f"{without} does not use {named}", "name another with --model, or other groups with --group")
    if not shared:
        cause = f"no model is used by each of {', '.join(groups)}"
        raise UsageError(cause, "evaluate one group after the other, with --group")
    return named or shared[0]


def share_of(site: SiteConfig, groups: Sequence[str]) -> int:
    """Tokens that a run takes unless it is told otherwise: people of no group notice it before midnight."""
    return max(1, min(one.per_group.tokens_per_day for one in site.groups if one.name in groups) // _SHARE)


def _begun(results: ResultFile, left: int, most: int) -> dict[str, Any]:
    run_of = results.run
    about = {"model": run_of.model, "groups": list(run_of.groups), "seed": run_of.seed, "cases": run_of.count}
    tried = {"pack": run_of.pack} if run_of.pack is not None else {}
    tried |= {"change": run_of.change} if run_of.change is not None else {}
    return about | tried | {"left": left, "tokens_at_most": most}


def _draw(console: Console, figures: dict[str, Any]) -> None:
    for name, value in figures.items():
        console.print(f"{name.replace('_', ' ') + ':':<14}{value}", markup=False)
