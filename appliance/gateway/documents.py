"""Documents for answers: passages found under the asker's groups, and looked at again when the answer is there.

The groups are those of the token or session that asks, at the moment of the call. The library filters by them in its
queries and asks a second time by its own policy (ADR 141); nothing is found and then dropped.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from sqlalchemy.exc import SQLAlchemyError

from appliance.engine.errors import EngineUnavailableError
from appliance.errors import UnavailableError
from appliance.gateway.database import needed
from appliance.gateway.errors import NotReadyError, UnprocessableError
from appliance.gateway.grounding import Grounding, checked, looked_up
from appliance.gateway.history import estimated_tokens
from appliance.memory.errors import TooManyTokensError
from appliance.memory.fitting import fitting, within
from appliance.memory.quoting import RULE, asked
from appliance.memory.retrieval import MAX_QUESTION, Retrieval
from appliance.memory.vectors import Embedder

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from typing import Any

    from sqlalchemy.ext.asyncio import AsyncEngine

    from appliance.gateway.callers import Caller
    from appliance.gateway.history import ChatMessage
    from appliance.gateway.looking import Looking
    from appliance.gateway.ports import Engine
    from appliance.memory.documents import Found, Place
    from appliance.memory.vector_search import Meaning
    from appliance.site.config import SiteConfig

SHARE = 3
"""Passages take one of so many parts of the model's context at most."""
_PATIENCE = 3
_SHORTEST = 32


class Documents:
    """The site's documents, as the gateway asks them."""

    def __init__(self, site: SiteConfig, database: AsyncEngine, engines: Mapping[str, Engine]) -> None:
        self._settings = site.documents
        self._retrieval = Retrieval(database)
        self._engines = engines

    async def open_to(self, groups: Sequence[str]) -> bool:
        """Whether people of ``groups`` can be answered from documents at all."""
        return self._settings.model is not None and await self._retrieval.answerable(groups)

    async def grounded(
        self,
        caller: Caller,
        messages: Sequence[ChatMessage],
        tokens: int,
        looking: Looking,
        most: int | None = None,
    ) -> Grounding:
        """Passages for the last question of ``messages``, in ``tokens`` by estimate (``room``).

        At most ``most``, and never more than the group is given (``looking``).
        Raises ``UnprocessableError`` where the site has no documents for the caller, or no room is left for one, and
        ``NotReadyError`` where the library or the embedding model does not answer.
        """
        checked(messages)
        with needed():
            if not await self.open_to(caller.groups):
                raise UnprocessableError(
                    "there are no documents here that you could be answered from",
                    "ask without `documents`; whoever operates the site takes documents in, and names a model for them",
                    code="no_documents",
                    param="documents",
                )
            question = looked_up(messages).replace("\0", " ")  # which PostgreSQL takes in no text
            wanted = min(most or looking.passages, looking.passages)
            meaning = asyncio.create_task(self._meaning(question, caller))
            try:
                found = await self._retrieval.found(question, meaning, caller.groups, wanted, looking.meaning)
            finally:
                meaning.cancel()
                await asyncio.gather(meaning, return_exceptions=True)
        fit = fitting(question, found)
        taken = within(fit, tokens, estimated_tokens)
        if fit and not taken:
            raise UnprocessableError(
                "the conversation leaves no room for a passage of a document",
                "ask in fewer words, for a shorter answer, or in a new conversation",
                code="context_length_exceeded",
                param="documents",
            )
        return Grounding(
            taken,
            looking.nothing_fits == "abstain",
            _looked_up_by(meaning.result().model, meaning.result().unrelated, looking),
            looking.digest,
        )

    async def looked_up_by(self, looking: Looking) -> Mapping[str, Any] | None:
        """By what passages would be looked up now; None where nobody is answered from documents.

        Raises ``NotReadyError`` where the embedding model does not answer.
        """
        if (name := self._settings.model) is None:
            return None
        try:
            embedder = Embedder(self._engines[name], "site")
            model, unrelated = await embedder.model(), await embedder.unrelated()
        except UnavailableError as error:
            raise NotReadyError("the embedding model does not answer", code="documents_unavailable") from error
        return _looked_up_by(model, unrelated, looking)

    async def still(self, places: Sequence[Place], groups: Sequence[str]) -> tuple[Found | None, ...] | None:
        """Each place as it stands now for people of ``groups``; None where the library does not answer."""
        try:
            return await self._retrieval.still(places, groups)
        except SQLAlchemyError:
            return None  # the answer was given, and its end is entered whatever the library says

    async def _meaning(self, question: str, caller: Caller) -> Meaning:
        """The question's vector; of a question that is longer than the model reads, that of its beginning."""
        model = self._settings.model
        assert model is not None
        embedder = Embedder(self._engines[model], caller.subject, urgent=True, attempts=_PATIENCE)
        part = question[:MAX_QUESTION]
        try:
            while True:
                try:
                    return await embedder.meaning(part)
                except TooManyTokensError:
                    if len(part) <= _SHORTEST:
                        raise NotReadyError("the question has no vector", code="documents_unavailable") from None
                    part = part[: len(part) // 2]
        except (UnavailableError, EngineUnavailableError) as error:
            raise NotReadyError(
                "documents cannot be searched at the moment",
                "ask without them, or try again",
                code="documents_unavailable",
                retry_after=5,
            ) from error


def _looked_up_by(model: str, unrelated: int | None, looking: Looking) -> Mapping[str, Any]:
    """By the group's settings alone: who asks for fewer passages is not to choose whether a threshold holds."""
    return {"model": model, **({} if unrelated is None else {"unrelated": unrelated}), **looking.told()}


def room(context: int, answer: int, told: Sequence[str]) -> int:
    """Tokens that are left for passages beside an answer of ``answer`` tokens and what else is ``told``. Pure.

    At most a third of the model's context, so that reading them does not take longer than it is worth.
    """
    around = (RULE, asked("", ()), *told)
    return min(context - answer - sum(map(estimated_tokens, around)), context // SHARE)
