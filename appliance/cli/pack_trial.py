"""A pack on trial: its own cases and the group's gold cases, asked under what is in force and under the pack.

Each question names its pack, so nothing is changed for anybody while it lasts (``gateway.packs.Packs.tried``). A first
question with an answer of one token says how long the pack is by the model's own tokenizer, and whether the model can
be asked under it at all. A group's models are tried one after the other: a pack that one of them breaks is not put in
force.
"""

from __future__ import annotations

import asyncio
from contextlib import ExitStack
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from appliance.cli.learn_ask import NotCapableError
from appliance.cli.learn_evaluate import withdraw
from appliance.cli.learn_results import opened
from appliance.cli.learn_sign_in import asking
from appliance.cli.terminal import progress
from appliance.errors import UnavailableError, UsageError
from appliance.gateway.sampling import DEFAULT_TEMPERATURE, DEFAULT_TOP_P
from appliance.learning.cases import digest_of
from appliance.learning.errors import CaseRefusedError
from appliance.learning.figures import parts
from appliance.learning.results import Run, read_results
from appliance.learning.running import Budget, questions, run
from appliance.packs.adoption import judged
from appliance.packs.errors import PackRefusedError

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from appliance.learning.cases import Case
    from appliance.learning.gate import Decision
    from appliance.learning.results import Results
    from appliance.learning.running import Asker
    from appliance.site.config import SiteConfig
    from appliance.site.groups import ServiceClient
    from appliance.site.paths import SitePaths
    from appliance.site.served import Model


@dataclass(frozen=True)
class Trial:
    """What is tried: ``cases`` of ``group`` under ``pack`` instead of ``former``, both digests or ``none``.

    ``results`` is the folder of the files of results; a trial that was cut off goes on from there.
    """

    group: str
    pack: str
    former: str
    cases: tuple[Case, ...]
    seed: int
    max_tokens: int
    budget: int
    results: Path


@dataclass(frozen=True)
class Tried:
    """What one model's answers say. ``tokens``: of the first question with the pack's words, by the model's count."""

    model: str
    tokens: int
    decision: Decision
    answered_by: tuple[str, ...]

    def figures(self) -> dict[str, Any]:
        """For the log."""
        answered = parts("is", self.answered_by)
        return {"model": self.model, "pack_tokens": self.tokens, **self.decision.figures(), **answered}


def chat_models(site: SiteConfig, group: str) -> tuple[Model, ...]:
    """Models of ``group`` that may answer questions."""
    used = next(one.models for one in site.groups if one.name == group)
    return tuple(one for one in site.models if one.name in used and one.name != site.documents.model)


async def tried(
    paths: SitePaths, site: SiteConfig, program: ServiceClient, trial: Trial, passphrase_fd: int | None
) -> tuple[Tried, ...]:
    """Ask all of it of each model of the group, and judge.

    Raises ``PackRefusedError`` where a model cannot be asked under the pack, ``UnavailableError`` where a quota, the
    budget or a service ended it before everything was asked.
    """
    found: list[Tried] = []
    budget = Budget(trial.budget)
    async with asking(paths, site, program, passphrase_fd) as asker_of:
        for model in chat_models(site, trial.group):
            try:
                tokens = await _first(asker_of, site, model, trial)
            except NotCapableError:
                continue
            before = await _asked(asker_of, _run(site, model, trial, trial.former), trial, budget)
            after = await _asked(asker_of, _run(site, model, trial, trial.pack), trial, budget)
            if len({row.model for row in (*before.rows, *after.rows)} - {None}) > 1:
                raise UnavailableError(f"{model.name} was changed during the trial", "try again, with new --results")
            decision = await asyncio.to_thread(judged, before, after)
            found.append(Tried(model.name, tokens, decision, tuple(after.answered_by)))
    if not found:
        raise UsageError(f"no model answers questions of {trial.group}", "see `models` of the group in site.yaml")
    return tuple(found)


async def vital_failures(
    paths: SitePaths, site: SiteConfig, program: ServiceClient, trial: Trial, passphrase_fd: int | None
) -> tuple[str, ...]:
    """Which of the trial's vital cases do not hold under its pack, asked of each model of the group; none: all hold.

    Raises ``UnavailableError`` where a quota, the budget or a service ended it before everything was asked.
    """
    failed: set[str] = set()
    budget = Budget(trial.budget)
    async with asking(paths, site, program, passphrase_fd) as asker_of:
        for model in chat_models(site, trial.group):
            try:
                found = await _asked(asker_of, _run(site, model, trial, trial.pack), trial, budget)
            except NotCapableError:
                continue
            failed |= {str(row.case) for row in found.rows if row.vital and row.score < 1}
    return tuple(sorted(failed))


async def _first(asker_of: Callable[[Run], Asker], site: SiteConfig, model: Model, trial: Trial) -> int:
    """Tokens of a first question under the pack; half of the context is for people and for the answer."""
    one = _run(site, model, trial, trial.pack).model_copy(update={"max_tokens": 1})
    try:
        answered = await asker_of(one).ask(trial.group, trial.cases[0].content.question, trial.seed)
    except CaseRefusedError as error:
        raise PackRefusedError(
            f"{model.name} cannot be asked under the pack: {error.cause}", "shorten the pack, or raise context_tokens"
        ) from error
    tokens = int(answered.receipt["usage"]["prompt_tokens"])
    room = model.context_tokens // 2
    if model.pinned_tokens:
        room = min(room, model.pinned_tokens)
    if tokens > room:
        raise PackRefusedError(
            f"under the pack a first question takes {tokens} tokens of {model.name}, and {room} are the group's share",
            "shorten the pack, or raise context_tokens or pinned_tokens of the model",
        )
    return tokens


async def _asked(asker_of: Callable[[Run], Asker], drawn: Run, trial: Trial, budget: Budget) -> Results:
    """The results of one run, kept in its file as they come."""
    name = f"{drawn.model}-{'before' if drawn.pack == trial.former else 'after'}.jsonl"
    asked = questions(trial.cases, (trial.group,), trial.seed)
    with ExitStack() as stack:
        results = stack.enter_context(opened(trial.results / name, drawn))
        report = stack.enter_context(progress(name.removesuffix(".jsonl"), unit="steps"))
        now = [one for one in asked if one.drawn in results.left]
        if await run(now, asker_of(drawn), results.keep, budget, report) if now else True:
            withdraw(results)
        if results.left:
            cause = f"{len(results.left)} questions are left: the tokens of this run or a quota are used up"
            raise UnavailableError(
                cause, "nothing was changed; run it again with the same --results, and it goes on where it was"
            )
    return read_results((trial.results / name).read_bytes(), name)


def _run(site: SiteConfig, model: Model, trial: Trial, pack: str) -> Run:
    asked = questions(trial.cases, (trial.group,), trial.seed)
    return Run(
        site=site.name,
        model=model.name,
        groups=(trial.group,),
        seed=trial.seed,
        max_tokens=trial.max_tokens,
        temperature=DEFAULT_TEMPERATURE,
        top_p=DEFAULT_TOP_P,
        cases=digest_of({one.case.id: one.case for one in asked}.values()),
        pack=pack,
        drawn=tuple(one.drawn for one in asked),
    )
