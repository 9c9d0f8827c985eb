"""The chain from the served weights back to what its producer published, out of verified statements. Pure.

A chain is *closed* when every input of every step back leads to files that somebody who may say so says the producer
published. Steps join by digest alone: names, dates and the order of statements count for nothing. What contradicts the
signed record is not a gap but a refusal, which nobody can waive.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from airgap_bundle.provenance.origin import (
    Approval,
    Conversion,
    Licensing,
    OriginStatement,
    Production,
    Quantisation,
    TrainingData,
)
from appliance.models.verdict import shown

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from appliance.models.record import ModelRecord

MAX_STEPS = 64


@dataclass(frozen=True)
class Evidence:
    """What is verified about a model: the publisher whose signature holds for its producer, and statements of origin.

    ``note`` says why there is no publisher.
    """

    publisher: str | None = None
    note: str = "no publisher's signature"
    statements: tuple[OriginStatement, ...] = ()


@dataclass(frozen=True)
class Origin:
    """What the evidence says of one model; each text is empty where nothing is said."""

    produced: str = ""
    chain: str = ""
    licence: str = ""
    training_data: str = ""
    approved: str = ""
    gap: str = ""
    contradictions: tuple[str, ...] = ()


@dataclass
class _Walk:
    """Steps back from a digest; ``published`` are the ends that a producer is said to have published."""

    statements: tuple[OriginStatement, ...]
    steps: list[str] = field(default_factory=list)
    published: list[OriginStatement] = field(default_factory=list)
    gap: str = ""
    under_way: set[str] = field(default_factory=set)
    walked: set[str] = field(default_factory=set)

    def back(self, digest: str) -> None:
        """Go from ``digest`` to its inputs, until every end is published or has nothing behind it: then a ``gap``."""
        if digest in self.under_way:
            self.gap = self.gap or f"the steps lead in a circle through {digest[:12]}…"
            return
        if len(self.under_way) == MAX_STEPS:
            self.gap = self.gap or f"the chain is longer than {MAX_STEPS} steps"
            return
        if digest in self.walked:
            return
        self.walked.add(digest)
        about = [s for s in self.statements if digest in s.subjects]
        if published := [s for s in about if isinstance(s.predicate, Production)]:
            self.published += published
            return
        made = [(s.predicate, s.attester) for s in about if isinstance(s.predicate, Conversion)]
        if not made:
            self.gap = self.gap or f"nothing is said of where {digest[:12]}… comes from"
        self.under_way.add(digest)
        for conversion, attester in made:
            for source in conversion.inputs:
                self.back(source)
            self.steps.append(_step(conversion, attester))
        self.under_way.discard(digest)


def trace(record: ModelRecord, evidence: Evidence) -> Origin:
    """What ``evidence`` says of the model in ``record``."""
    weights = record.weights.sha256
    if evidence.publisher is not None:
        produced = chain = f"signed by its publisher {evidence.publisher}"
        gap = ""
        published: list[OriginStatement] = []
    else:
        walk = _Walk(evidence.statements)
        walk.back(weights)
        published, gap = walk.published, walk.gap
        produced = "" if gap else f"{shown(record.producer.name)}, says {_names(published)}"
        chain = "" if gap else "; ".join(["published", *dict.fromkeys(walk.steps)])
    about = [s for s in evidence.statements if weights in s.subjects]
    return Origin(
        produced=produced,
        chain=chain,
        licence=_said(about, Licensing),
        training_data=_said(about, TrainingData),
        approved=_said(about, Approval),
        gap=gap,
        contradictions=tuple(_contradictions(record, about, published)),
    )


def _step(made: Conversion, attester: str) -> str:
    what = f"quantised to {shown(made.scheme)}" if isinstance(made, Quantisation) else "converted"
    return f"{what} with {shown(made.tool)} {shown(made.version)} (says {attester})"


def _names(statements: Sequence[OriginStatement]) -> str:
    return ", ".join(sorted({statement.attester for statement in statements}))


def _said(about: Sequence[OriginStatement], kind: type[Licensing | TrainingData | Approval]) -> str:
    found = [s for s in about if isinstance(s.predicate, kind)]
    if not found:
        return ""
    text = next(iter(found[0].predicate.model_dump().values()))
    return f"{shown(text)} (says {_names(found)})"


def _contradictions(
    record: ModelRecord, about: Sequence[OriginStatement], published: Sequence[OriginStatement]
) -> Iterator[str]:
    """Where a statement and the record say different things."""
    said = (record.producer.name, record.producer.jurisdiction)
    for statement in [*about, *(s for s in published if s not in about)]:
        predicate = statement.predicate
        if isinstance(predicate, Production) and (predicate.producer, predicate.jurisdiction) != said:
            yield f"{statement.attester} says {shown(predicate.producer)} ({shown(predicate.jurisdiction)}) produced it"
        elif isinstance(predicate, Licensing) and predicate.spdx != record.licence.spdx:
            yield f"{statement.attester} says its licence is {shown(predicate.spdx)}"
        elif isinstance(predicate, Quantisation) and predicate.scheme != record.weights.quantisation:
            yield f"{statement.attester} says it is quantised to {shown(predicate.scheme)}"
