"""An expert's queue: what waits for a ruling, put together by what it is about, and how well experts agree."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from appliance.errors import SovereignError
from appliance.gateway.gold_rows import OFFERED
from appliance.gateway.page_routes import moment
from appliance.learning import clusters
from appliance.learning.agreement import experts, overall
from appliance.learning.failures import contradicting
from appliance.memory.errors import TooManyTokensError
from appliance.memory.nearness import nearness
from appliance.memory.vectors import Embedder

if TYPE_CHECKING:
    import uuid
    from collections.abc import Mapping, Sequence

    from appliance.gateway.assembly import Gateway
    from appliance.gateway.failures import Ruled
    from appliance.gateway.gold_rows import Kept
    from appliance.learning.agreement import Agreement
    from appliance.learning.failures import Failure

BY_VECTORS = 100
"""Failures up to which vectors are asked for; beyond, words have to do: the engine has other work."""
_READ = 1000
_LEAST = 60
"""Characters of a question that are put into a vector, at first, and at least."""
_PATIENCE = 3
_EXCERPT = 240
_SHORT = 12
_OFFERED = 50
"""Offered cases that the page shows at once; the next ones come when these are decided."""


@dataclass(frozen=True)
class Grouped:
    """Failures by what they are about: names and members of each cluster."""

    by: Literal["words", "vectors"]
    names: list[tuple[str, ...]]
    members: list[list[Failure]]
    contradicting: list[tuple[uuid.UUID, uuid.UUID]]


async def grouped(gateway: Gateway, failures: Sequence[Failure]) -> Grouped:
    """Clusters of ``failures``, by the site's embedding model where it has one that answers, else by words."""
    questions = [one.sent.question for one in failures]
    vectors, unrelated = await _vectors(gateway, questions)
    by: Literal["words", "vectors"] = "words" if vectors is None else "vectors"
    names, found = await asyncio.to_thread(_clustered, questions, vectors, unrelated)
    pairs = await asyncio.to_thread(contradicting, failures)
    return Grouped(by, names, [[failures[index] for index in one] for one in found], pairs)


def _clustered(
    questions: list[str], vectors: list[list[float]] | None, unrelated: int | None
) -> tuple[list[tuple[str, ...]], list[list[int]]]:
    import numpy as np  # noqa: PLC0415 - a gateway that shows no queue does without

    if vectors is None:
        found = clusters.clustered(clusters.by_words(questions), clusters.LEAST_OF_WORDS)
    else:
        alike = nearness(clusters.by_vectors(np.asarray(vectors)), unrelated)
        found = clusters.clustered(alike, clusters.LEAST_OF_VECTORS)
    return clusters.names(questions, found), found


async def _vectors(gateway: Gateway, questions: list[str]) -> tuple[list[list[float]] | None, int | None]:
    """None where there are none; and what ``nearness`` needs to know of their model."""
    name = gateway.site.documents.model
    if name is None or not 1 < len(questions) <= BY_VECTORS:
        return None, None
    embedder = Embedder(gateway.catalogue.engine(name), "learning", attempts=_PATIENCE)
    longest = _READ
    while True:
        try:
            written = await embedder.vectors([one[:longest] for one in questions], "query")
        except TooManyTokensError:
            longest //= 2  # what one is about stands at its beginning; it is not to cost the others their vectors
            if longest < _LEAST:
                return None, None
        except SovereignError:
            return None, None
        else:
            break
    return [[float(number) for number in one.strip("[]").split(",")] for one in written], await embedder.unrelated()


def shown_queue(found: Grouped, expert: str, judged: list[tuple[str, str, str]], standing: Sequence[Kept]) -> Any:
    """What the page is given; ``standing`` are cases that wait for an expert: blocked ones, and offered ones."""
    return {
        "by": found.by,
        "clusters": [
            {"name": list(name), "failures": [_listed(one) for one in members]}
            for name, members in zip(found.names, found.members, strict=True)
        ],
        "contradicting": [[str(one), str(other)] for one, other in found.contradicting],
        "blocked": [shown_case(one) for one in standing if one.state == "blocked"],
        "offered": [shown_case(one) for one in standing if one.state == OFFERED][:_OFFERED],
        "agreement": _agreement(overall(judged)),
        "experts": [
            {
                "name": one.subject[:_SHORT],
                "you": one.subject == expert,
                "rulings": dict(one.rulings),
                "one_sided": one.one_sided,
                **_agreement(one.with_others),
            }
            for one in experts(judged)
        ],
    }


def _listed(one: Failure) -> dict[str, Any]:
    return {
        "id": str(one.id),
        "question": one.sent.question[:_EXCERPT],
        "group": one.group,
        "model": one.model,
        "day": one.created.date().isoformat(),
        "reasons": list(one.sent.reasons),
        "corrected": one.sent.correction is not None,
        "asks": one.sent.asks,
        "standing": one.standing,
    }


def shown_failure(
    one: Failure, expert: str, ruled: Sequence[Ruled], answers: Mapping[str, str] | None = None
) -> dict[str, Any]:
    """A failure whole; what others ruled and answered is shown to whoever has ruled as well."""
    mine = next((said for said in ruled if said.subject == expert), None)
    others = [said for said in ruled if said.subject != expert] if mine is not None else []
    sent = one.sent
    return {
        **_listed(one),
        "question": sent.question,
        "answer": sent.answer,
        "documents": sent.documents,
        "reason": sent.reason,
        "correction": sent.correction,
        "ruling": mine.ruling if mine else None,
        "note": mine.note if mine else None,
        "answer_given": (answers or {}).get(expert),
        "others_answered": [text for by, text in (answers or {}).items() if by != expert and mine is not None],
        "others": [{"ruling": said.ruling, "note": said.note} for said in others],
    }


def shown_case(one: Kept) -> dict[str, Any]:
    """A case with its version, state and origin."""
    return {
        "id": str(one.case.id),
        "version": one.case.version,
        "state": one.state,
        "digest": one.case.content.digest,
        "created": moment(one.created),
        **one.case.content.model_dump(mode="json"),
    }


def _agreement(found: Agreement) -> dict[str, Any]:
    return {
        "count": found.count,
        "observed": round(found.observed, 3),
        "kappa": round(found.kappa, 3) if found.kappa is not None else None,
    }
