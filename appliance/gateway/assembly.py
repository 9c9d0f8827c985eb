"""The gateway put together: what it is given (``Parts``), and what its routes work with (``Gateway``)."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from appliance.gateway.abstaining import Abstention
from appliance.gateway.account_names import AccountNames
from appliance.gateway.answers import Answer, Desk
from appliance.gateway.briefs import IN_FORCE, Briefs
from appliance.gateway.bringing import Bringing
from appliance.gateway.calibrations import CalibrationStore
from appliance.gateway.catalogue import Catalogue
from appliance.gateway.changes import Changes
from appliance.gateway.conversations import ConversationStore
from appliance.gateway.cookies import Cookies
from appliance.gateway.documents import Documents
from appliance.gateway.entitlements import grant, priority
from appliance.gateway.errors import NotReadyError, UnprocessableError
from appliance.gateway.event_cursor import CursorStore
from appliance.gateway.expert_answers import ExpertAnswers
from appliance.gateway.failures import FailureStore
from appliance.gateway.feedback import FeedbackStore
from appliance.gateway.gold_cases import CaseStore
from appliance.gateway.hierarchy_look import Counting
from appliance.gateway.history import most_tokens
from appliance.gateway.identity_events import IdentityEvents
from appliance.gateway.jobs import Job
from appliance.gateway.later_vectors import LaterVectors
from appliance.gateway.ledger import Ledger
from appliance.gateway.looks import Looks
from appliance.gateway.measuring import Measuring
from appliance.gateway.metrics import Metrics
from appliance.gateway.others_documents import OthersDocuments
from appliance.gateway.packs import Packs, check_adapter
from appliance.gateway.quota import Quotas
from appliance.gateway.rate_bound import RateBound
from appliance.gateway.rollout_watch import Watch
from appliance.gateway.rollouts import Rollouts
from appliance.gateway.rulings import Rulings
from appliance.gateway.running import Running
from appliance.gateway.savings import Savings
from appliance.gateway.sessions import SessionStore
from appliance.gateway.tools import NO_TOOLS
from appliance.gateway.turns import TurnStore
from appliance.memory.quoting import RULE

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from sqlalchemy.ext.asyncio import AsyncEngine
    from starlette.requests import Request

    from appliance.engine.client import ModelInfo
    from appliance.gateway.account_names import Accounts
    from appliance.gateway.briefs import Wish
    from appliance.gateway.callers import Caller
    from appliance.gateway.entitlements import Grant
    from appliance.gateway.grounding import Grounding
    from appliance.gateway.history import ChatMessage
    from appliance.gateway.identity_events import Source
    from appliance.gateway.ports import Audit, Engine, LogReader, SignIn, Verifier
    from appliance.gateway.sampling import Sampling
    from appliance.gateway.steps import Keeper
    from appliance.gateway.tools import Tools
    from appliance.site.config import SiteConfig

_EXPERT_ENTRIES = 60
"""Looks and acts of one expert at once; then one a second."""


@dataclass(frozen=True)
class Keys:
    """The gateway's secrets, 32 bytes each."""

    content: bytes
    session: bytes
    pseudonym: bytes


@dataclass(frozen=True)
class Parts:
    """What a gateway is made of; tests put fakes here."""

    site: SiteConfig
    database: AsyncEngine
    engines: Mapping[str, Engine]
    audit: Audit
    verifier: Verifier
    sign_in: SignIn
    keys: Keys
    events: Source | None = None
    """What Keycloak recorded; None where nobody brings it into the log."""
    log_reader: LogReader | None = None
    """The log, for auditors; None where it is not to be read."""
    accounts: Accounts | None = None
    """Keycloak's accounts, for auditors who may see names; None where nobody may."""
    packs: Path | None = None
    """The site's packs; None where there are none, and groups for which one was chosen are not answered."""


class Gateway:
    """Everything the routes need, built once."""

    def __init__(self, parts: Parts) -> None:
        self.site = parts.site
        self.database = parts.database
        self.keys = parts.keys
        self.audit = parts.audit
        self.log_reader = parts.log_reader
        self.names = AccountNames(parts.accounts, parts.keys.pseudonym) if parts.accounts is not None else None
        self.engines = dict(parts.engines)
        self.verifier = parts.verifier
        self.sign_in = parts.sign_in
        self.metrics = Metrics()
        self.ledger = Ledger(parts.audit, self.metrics)
        self.quotas = Quotas(parts.database)
        self.packs = Packs(parts.database, parts.packs)
        self.catalogue = Catalogue(parts.engines)
        self.sessions = SessionStore(parts.database, parts.keys.session)
        self.conversations = ConversationStore(parts.database, parts.keys.content)
        self.turns = TurnStore(parts.database, self.conversations)
        self.feedback = FeedbackStore(parts.database, self.conversations)
        self.feedback_bound = RateBound()
        self.failures = FailureStore(parts.database, self.conversations)
        self.cases = CaseStore(parts.database, self.conversations)
        self.rulings = Rulings(parts.database, self.conversations, self.failures, self.cases)
        self.expert_answers = ExpertAnswers(parts.database, self.conversations)
        self.others_documents = OthersDocuments(parts.database)
        self.expert_bound = RateBound(burst=_EXPERT_ENTRIES, seconds=1.0)
        self.briefs = Briefs(parts.database, self.conversations)
        self.cookies = Cookies(secure=parts.site.scheme == "https")
        self.running = Running()
        self.looks = Looks()
        events = parts.events
        self.identity_events = _identity_events(parts, events, self.metrics) if events is not None else None
        self.documents = Documents(parts.site, parts.database, self.engines)
        self.vectors = LaterVectors(parts.site, parts.database, self.engines, self.running)
        self.bringing = Bringing(
            parts.site, parts.database, self.conversations, self.ledger, self.quotas, self.vectors.due
        )
        self.rollouts = Rollouts(parts.site, parts.database, parts.keys.pseudonym, self.metrics)
        self.changes = Changes(parts.site, self.catalogue, self.packs)
        self.watch = Watch(self.rollouts.store, self.packs, self.changes, self.ledger, parts.site.learning.rollout)
        self.savings = Savings()
        self.counting = Counting(parts.database)
        self.measuring = Measuring(CalibrationStore(parts.database))
        kept = (self.ledger, self.quotas, self.metrics, self.documents, self.savings, self.rollouts)
        self._desk = Desk(*kept, language=parts.site.languages[0])

    async def granted(  # noqa: PLR0913, PLR0917 - who asks for what, and what an evaluation tries
        self,
        caller: Caller,
        model: str,
        role: str = "chat",
        pack: str | None = None,
        brief: Wish = IN_FORCE,
        change: str | None = None,
        *,
        looks_up: bool = False,
    ) -> tuple[Grant, ModelInfo]:
        """Entitlement before anything else: the grant, and what the engine says of the model, which is of ``role``.

        A chat model answers under the group's pack, or under ``pack`` (a digest, or ``none``) where that is on trial,
        and with the group's brief as it stands at this moment, or the one that is wished for. ``looks_up``: from
        documents.
        Raises ``ForbiddenError``, ``UnprocessableError`` for a model of another role, or ``NotReadyError`` when the
        engine does not answer, the gateway is draining, or the group's pack cannot be established.
        """
        found = grant(self.site, caller.groups, model)
        self.running.check_open()
        info = await self.catalogue.model(found.model)
        if (known := info.record.get("role", "chat")) != role:
            raise UnprocessableError(
                f"{found.model} is a model for {known}, and this asks for {role}",
                code="model_not_capable",
                param="model",
            )
        if role == "chat":
            if pack is None:
                told = brief == IN_FORCE
                placed = None
                if change is None:
                    placed = await self.rollouts.placed(found.group, caller, told=told, looks_up=looks_up)
                found = await self.packs.under(replace(found, rollout=placed))
            else:
                found = await self.packs.tried(found, pack)
            found, info = await self.changes.applied(found, info)
            if change is not None:
                found, info = await self.changes.tried(found, info, change)
            check_adapter(found, info.receipt)
        if found.adapter is not None and found.adapter not in info.receipt.get("adapters", {}):
            raise NotReadyError(
                "the model does not serve your group's adapter at the moment", code="engine_unavailable", retry_after=5
            )
        return await self.briefs.told(found, brief), info

    async def admitted(  # noqa: PLR0913 - the fields of a job, by keyword
        self,
        *,
        caller: Caller,
        granted: Grant,
        model: ModelInfo,
        sampling: Sampling,
        purpose: str,
        messages: Sequence[ChatMessage] | None = None,
        prompt: str | None = None,
        inputs: Sequence[str] | None = None,
        choices: int = 1,
        tools: Tools = NO_TOOLS,
        grounding: Grounding | None = None,
    ) -> tuple[Job, ...]:
        """Quota, then a job for each of ``choices`` answers. Raises ``ExhaustedError`` having counted nothing.

        What is reserved is the most that a request can come to, so that requests side by side cannot pass a cap. Each
        answer is a request of its own: for quotas, in the log, and with a receipt.
        """
        told = [granted.instructions.text] if messages is not None else []
        said = grounding.told(messages or ()) if grounding is not None and messages else messages or ()
        told += [RULE] if grounding is not None else []
        words = (part for message in said for part in message.values())
        asked = most_tokens([*told, tools.text, *words, *(inputs or (prompt or "",))])
        at_once = model.context_tokens * (1 if inputs is None else len(inputs))
        most = min(asked + sampling.max_tokens, at_once)
        judging = None
        if inputs is None:
            # who offers a tool is answered without the brief, and does not choose by it whether a threshold holds
            under = await self.briefs.told(granted, IN_FORCE) if tools.offered else granted
            judging = await self.measuring.of(under, model, purpose, grounding, told=messages is not None)
        reservation = await self.quotas.reserve(caller.subject, granted, most, choices)
        return tuple(
            Job(
                caller=caller,
                grant=granted,
                model=model,
                sampling=sampling.numbered(number),
                reservation=reservation,
                purpose=purpose,
                messages=tuple(messages) if messages is not None else None,
                prompt=prompt,
                inputs=tuple(inputs) if inputs is not None else None,
                tools=tools,
                grounding=grounding,
                judging=judging,
                priority=priority(self.site, caller.client_id),
            )
            for number in range(choices)
        )

    def answer(self, job: Job, keeper: Keeper) -> Answer:
        """Start answering."""
        engine = self.catalogue.engine(job.grant.model)
        if job.grounding is not None and job.grounding.outcome == "abstained":
            engine = Abstention(engine, self.site.languages[0])
        answer = Answer(self._desk, engine, job, keeper)
        self.running.add(answer)
        return answer


def _identity_events(parts: Parts, source: Source, metrics: Metrics) -> IdentityEvents:
    return IdentityEvents(
        source=source,
        audit=parts.audit,
        cursors=CursorStore(parts.database),
        metrics=metrics,
        key=parts.keys.pseudonym,
    )


def gateway_of(request: Request) -> Gateway:
    """The gateway that ``request`` came to."""
    found = request.app.state.gateway
    assert isinstance(found, Gateway)
    return found
