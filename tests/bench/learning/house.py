"""A house of three groups that each read the manuals of one language: a whole gateway over both real engines.

Sign-in obeys and the log is a list; everything between a question and its receipt is the site's own: entitlement,
quotas, retrieval, the prompt as the gateway writes it, the engine, citations.
"""

from __future__ import annotations

import secrets
import time
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from appliance.audit.events_learning import learning_decision
from appliance.audit.roles import OPERATOR
from appliance.cli.learn_ask import SiteAsker
from appliance.cli.memory_site import Desk
from appliance.engine.client import EngineClient
from appliance.gateway.brief_inputs import BriefInputs
from appliance.gateway.brief_store import BriefStore
from appliance.gateway.conversations import ConversationStore
from appliance.gateway.failures import FailureStore
from appliance.gateway.gold_cases import CaseStore
from appliance.gateway.packs import Packs
from appliance.gateway.rate_bound import RateBound
from appliance.gateway.rollout_store import RolloutStore
from appliance.gateway.sampling import DEFAULT_TEMPERATURE, DEFAULT_TOP_P
from appliance.identity.oidc import Tokens
from appliance.identity.tokens import Principal
from appliance.learning.results import Run
from appliance.site.paths import SitePaths, engine_service
from tests.bench.learning.library import readers
from tests.gateway.doubles import MemoryLog, principal, site
from tests.integration.gateway.conftest import KEYS, ORIGIN, House

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, AsyncIterator, Mapping, Sequence
    from pathlib import Path

    import httpx
    from sqlalchemy.ext.asyncio import AsyncEngine

    from appliance.audit.client import Position
    from appliance.gateway.assembly import Gateway
    from appliance.learning.running import Answered
    from appliance.site.config import SiteConfig
    from tests.bench.learning.course import Scale
    from tests.bench.learning.kept import KeptEngine

SEED = 7
ANSWER = 48
"""Tokens of an answer: the demonstration's model repeats itself in longer ones."""
MODEL, EMBEDDING = "small", "minilm"
GUESTS = "guests"
_LONG = 10**6
_OFTEN: dict[str, Any] = {"requests_per_minute": 1_000_000, "tokens_per_day": 1_000_000_000}


def described(languages: Sequence[str], meaning: float) -> SiteConfig:
    """The site, where meaning counts so much: a group that has a brief for each language, and guests who have none."""
    often = {"models": [MODEL], "per_user": _OFTEN, "per_group": _OFTEN}
    names = [readers(one) for one in languages]
    groups = [*({"name": name, "brief": True, **often} for name in names), {"name": GUESTS, **often}]
    return site(
        models=[{"name": MODEL}, {"name": EMBEDDING}],
        documents={"model": EMBEDDING, "passages": 2, "nothing_fits": "answer", "meaning": meaning},
        memory={"compile": {"joules": 1e9}},
        groups=groups,
        service_clients=[{"id": "evaluator", "groups": names, "evaluates": True}],
    )


class ListedLog(MemoryLog):
    """A list that finds an id without going through it, and proves nothing: a thousand answers are entered."""

    def __init__(self) -> None:
        super().__init__(proves=False)
        self._at: dict[str, int] = {}

    async def append(self, event: dict[str, Any], *, id: str, proven: bool = False) -> Position:  # noqa: A002 - the protocol's name
        """Where the entry lies."""
        del proven
        if id not in self._at:
            self._at[id] = len(self.entries)
            self.entries.append((id, event))
        return self._position(self._at[id])


class Badge:
    """The evaluating client's sign-in, which asks nobody."""

    async def client_credentials(self) -> Tokens:
        """A token that lasts."""
        return Tokens("evaluator", None, None, _LONG)


@dataclass
class Noting:
    """Asks, and keeps what was answered, by group and question."""

    asker: SiteAsker
    given: dict[tuple[str, str], Answered] = field(default_factory=dict)

    async def ask(self, group: str, question: str, seed: int, *, documents: bool = False) -> Answered:
        """As the asker does."""
        answered = await self.asker.ask(group, question, seed, documents=documents)
        self.given[group, question] = answered
        return answered


@dataclass
class Stand:
    """The house while it is open."""

    pool: AsyncEngine
    site: SiteConfig
    house: House
    http: httpx.AsyncClient
    paths: SitePaths

    @property
    def gateway(self) -> Gateway:
        """The gateway that answers."""
        return self.house.gateways[0]

    @property
    def desk(self) -> Desk:
        """What a night works with."""
        conversations = ConversationStore(self.pool, KEYS.content)
        cases = CaseStore(self.pool, conversations)
        inputs = BriefInputs(self.pool, cases, FailureStore(self.pool, conversations))
        briefs, packs = BriefStore(self.pool, conversations), Packs(self.pool, self.paths.packs)
        return Desk(self.paths, self.site, briefs, inputs, cases, packs, RolloutStore(self.pool))

    @asynccontextmanager
    async def asking(self, run: Run, brief: str | None) -> AsyncGenerator[Noting]:
        """Asks as the evaluating client does, with the brief that is named, ``none``, or the one in force (None)."""
        yield Noting(SiteAsker(self.http, Badge(), run, ORIGIN, brief))  # type: ignore[arg-type]  # obeys

    async def enter(self, action: Any, target: str, figures: Mapping[str, Any], *, success: bool = True) -> None:
        """Put an act on a brief into the log."""
        about: dict[str, Any] = {"what": "brief", "target": target, "figures": figures, "action": action}
        event = learning_decision(actor="uid 0", **about, success=success)
        await self.house.log.append(event, id=OPERATOR.id("learning", secrets.token_hex(16)))

    def person(self, name: str, group: str) -> str:
        """Somebody of the group who signs in by that name."""
        self.house.door.people[name] = principal(name, group, lifetime=_LONG)
        return name


@asynccontextmanager
async def opened(
    pool: AsyncEngine, folder: Path, engine: KeptEngine, sockets: tuple[Path, Path], scale: Scale
) -> AsyncIterator[Stand]:
    """The house over the chat model's engine, ``engine``, and the embedding model's; ``sockets`` are theirs."""
    config = described(scale.languages, scale.meaning)
    paths = SitePaths(folder / "site")
    for model, socket in zip((MODEL, EMBEDDING), sockets, strict=True):
        own = paths.socket(engine_service(model))
        own.parent.mkdir(parents=True)
        own.symlink_to(socket)
    paths.journal.parent.mkdir(parents=True)
    async with EngineClient(sockets[1]) as embedding:
        house = House(pool, folder, log=ListedLog())
        house.engine, house.embedding = engine, embedding  # type: ignore[assignment]  # the real ones
        house.door.people["evaluator"] = Principal(
            sub="sub-evaluator",
            username="service-account-evaluator",
            groups=tuple(readers(one) for one in scale.languages),
            roles=(),
            session_id=None,
            client_id="evaluator",
            expires_at=int(time.time()) + _LONG,
        )
        async with house.open(config) as http:
            http.timeout = 900
            house.gateways[0].feedback_bound = RateBound(burst=10_000)  # a day's marks are made in a moment
            yield Stand(pool, config, house, http, paths)


def run_of(groups: Sequence[str], cases: str, drawn: Sequence[str]) -> Run:
    """How answers are drawn: as `learn evaluate` draws them, and short."""
    return Run(
        site="bench",
        model=MODEL,
        groups=tuple(sorted(groups)),
        seed=SEED,
        max_tokens=ANSWER,
        temperature=DEFAULT_TEMPERATURE,
        top_p=DEFAULT_TOP_P,
        cases=cases,
        drawn=tuple(drawn),
    )
