"""Judging a brief: the group's cases asked with it and without, as the group is answered, and the gate over both.

The brief is tried in the evaluation only: the service client that evaluates names it, and nobody else is answered with
it. Both runs are files beside the site's state, gone on with by the next night; they hold no word of a question or an
answer. What the answers took is counted, and where the night's energy is spent the run ends and stays.
"""

from __future__ import annotations

from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from appliance.cli.learn_ask import SiteAsker
from appliance.cli.learn_evaluate import share_of, withdraw
from appliance.cli.learn_results import opened
from appliance.cli.memory_night import SEED, Energy, Waiting
from appliance.cli.terminal import progress, say
from appliance.gateway.evaluation import WITHOUT
from appliance.gateway.issuer import issuer_client
from appliance.gateway.sampling import DEFAULT_TEMPERATURE, DEFAULT_TOP_P
from appliance.identity.oidc import OidcClient
from appliance.learning.briefs import Judged, held_out, judged
from appliance.learning.cases import digest_of
from appliance.learning.errors import ResultError, SpentError
from appliance.learning.pairing import ENOUGH
from appliance.learning.results import MAX_BYTES, Run, read_results
from appliance.learning.running import Budget, questions, run

if TYPE_CHECKING:
    import uuid
    from collections.abc import AsyncIterator, Callable, Iterator
    from contextlib import AbstractAsyncContextManager
    from pathlib import Path

    from appliance.cli.memory_site import Desk
    from appliance.gateway.brief_values import Brief
    from appliance.learning.cases import Case
    from appliance.learning.results import Results
    from appliance.learning.running import Answered, Asker
    from appliance.site.config import SiteConfig
    from appliance.site.groups import Group, ServiceClient
    from appliance.site.paths import SitePaths

    Asking = Callable[[Run, str], AbstractAsyncContextManager[Asker]]

_ANSWER = 256
_SPENT = "the night's energy, or a quota, is spent; the next night goes on"
_CHANGED = "what it is compared with, or it, changed meanwhile; the next night judges anew"


@dataclass
class Metered:
    """Asks as long as the night's energy lasts."""

    asker: Asker
    energy: Energy

    async def ask(self, group: str, question: str, seed: int, *, documents: bool = False) -> Answered:
        """As the asker does. Raises ``SpentError`` where nothing is left."""
        if self.energy.over:
            raise SpentError("the night's energy is spent", "the next night goes on")
        answered = await self.asker.ask(group, question, seed, documents=documents)
        self.energy.spent += float((answered.receipt.get("energy") or {}).get("joules", 0))
        return answered


@dataclass
class CaseJudge:
    """Implements ``memory_night.Judge`` over the running site."""

    desk: Desk
    energy: Energy
    asking: Asking

    async def __call__(self, brief: Brief, before: Brief | None, group: Group) -> Judged | Waiting:
        """The gate's decision on the group's cases. Raises what ends an evaluation; what was kept stays."""
        cases = [one.case for one in await self.desk.cases.current([group.name], ("active",))]
        judging = [one for one in cases if held_out(one)]
        if len(judging) < ENOUGH:
            cause = f"{len(judging)} cases judge briefs, and the gate needs {ENOUGH}"
            return Waiting(f"{cause}; accept it by name, or wait")
        site = self.desk.site
        model = chat_model(site, group)
        if model is None or evaluating(site, group) is None:
            return Waiting(f"no service client evaluates for {group.name}; declare one, or accept it by name")
        found = []
        budget = Budget(share_of(site, (group.name,)))
        try:
            for name, with_brief in (("before", before), ("after", brief)):
                asked = run_of(site, group, model, judging)
                whole = await self._asked(brief.run.id, name, with_brief, asked, budget, judging)
                if whole is None:
                    return Waiting(_SPENT)
                found.append(whole)
            now = await self.desk.store.in_force(group.name)
            again = await self.desk.store.one(brief.run.id, [group.name])
            same = _told(found[0]) <= {_digest(before)} and _told(found[1]) <= {_digest(again)}
            if same and len(_under(*found)) <= 1 and _digest(now) == _digest(before):
                return judged(*found)
        except ResultError as error:
            say(f"{group.name}: {error.cause}")  # of another model or other settings, damaged, or too few in both
        drop(self.desk.paths, brief.run.id.hex)
        return Waiting(_CHANGED)

    async def _asked(  # noqa: PLR0913, PLR0917 - private; one call
        self, number: uuid.UUID, name: str, with_brief: Brief | None, run_for: Run, budget: Budget, cases: list[Case]
    ) -> Results | None:
        """Results of all cases; None where the night ended first."""
        path = result_path(self.desk.paths, number.hex, name)
        path.parent.mkdir(mode=0o700, exist_ok=True)
        with opened(path, run_for) as results:
            left = [one for one in questions(cases, run_for.groups, SEED) if one.drawn in results.left]
            if left:
                named = str(with_brief.run.id) if with_brief is not None else WITHOUT
                async with self.asking(results.run, named) as asker:
                    with progress(f"{name} {run_for.groups[0]}", unit="steps") as report:
                        whole = await run(left, Metered(asker, self.energy), results.keep, budget, report)
                if not whole:
                    return None
            withdraw(results)
        with path.open("rb") as written:
            return read_results(written.read(MAX_BYTES + 1), str(path))


def run_of(site: SiteConfig, group: Group, model: str, cases: list[Case]) -> Run:
    """What is asked, and how: as `learn evaluate` asks."""
    asked = questions(cases, (group.name,), SEED)
    return Run(
        site=site.name,
        model=model,
        groups=(group.name,),
        seed=SEED,
        max_tokens=_ANSWER,
        temperature=DEFAULT_TEMPERATURE,
        top_p=DEFAULT_TOP_P,
        cases=digest_of(cases),
        drawn=tuple(one.drawn for one in asked),
    )


def chat_model(site: SiteConfig, group: Group) -> str | None:
    """The model that the group's people ask first, in site.yaml's order."""
    able = (one.name for one in site.models if one.name in group.models and one.name != site.documents.model)
    return next(able, None)


def evaluating(site: SiteConfig, group: Group) -> ServiceClient | None:
    """The first program that evaluates in the group's name."""
    return next((one for one in site.service_clients if one.evaluates and group.name in one.groups), None)


def site_asking(paths: SitePaths, site: SiteConfig, group: Group, secret: Callable[[str], str]) -> Asking:
    """Asks the running site, as the client that evaluates for ``group``; ``secret`` gives a client's secret."""

    @asynccontextmanager
    async def asking(run_for: Run, brief: str) -> AsyncIterator[Asker]:
        program = evaluating(site, group)
        assert program is not None
        async with issuer_client(site, paths) as http:
            sign_in = OidcClient(site.issuer, program.id, secret(program.id), http)
            yield SiteAsker(http, sign_in, run_for, site.gateway_url, brief)

    return asking


def result_path(paths: SitePaths, number: str, name: str) -> Path:
    """Where a run's results are kept until it is decided."""
    return paths.journal.with_name("briefs") / f"{number}-{name}.jsonl"


def drop(paths: SitePaths, number: str) -> None:
    """Keep a run's results no more."""
    for name in ("before", "after"):
        result_path(paths, number, name).unlink(missing_ok=True)


def kept(paths: SitePaths) -> Iterator[str]:
    """Runs that have results."""
    folder = paths.journal.with_name("briefs")
    if folder.is_dir():
        yield from sorted({one.name.partition("-")[0] for one in folder.iterdir()})


def _told(found: Results) -> set[str | None]:
    return {row.instructions.get("brief") for row in found.rows if row.refused is None}


def _under(*found: Results) -> set[tuple[object, ...]]:
    """What answers were given by and under, the brief aside: where it is not one, no brief made the difference."""
    return {
        (row.model, row.adapter, row.instructions.get("site"), row.instructions.get("group"))
        for results in found
        for row in results.rows
        if row.refused is None
    }


def _digest(brief: Brief | None) -> str | None:
    return brief.digest if brief is not None else None
