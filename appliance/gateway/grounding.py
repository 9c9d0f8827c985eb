"""What an answer is given to rest on, and what it came to rest on: values and pure functions.

A request that asks for documents has a ``Grounding``. Its passages go into the last message as quotations (``memory
.quoting``); the site's rule about them is the last of what the model is told before anybody speaks. Nothing of a
passage's text is kept in a receipt, a conversation or the log: they name places, digests and spans.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Literal

from appliance.engine.protocol import Message
from appliance.gateway.errors import UnprocessableError
from appliance.memory import quoting
from appliance.memory.citations import cited
from appliance.memory.wording import terms

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from appliance.gateway.history import ChatMessage
    from appliance.memory.documents import Found, Place

Outcome = Literal["answered", "nothing_fits", "abstained"]
_FEW = 4
"""A question of fewer content words is looked up together with the one before it: "And on Sundays?"."""


@dataclass(frozen=True)
class Grounding:
    """Passages for an answer, best first. None fit: ``abstain`` says whether the model is asked all the same."""

    passages: tuple[Found, ...]
    abstain: bool = False
    looked_up_by: Mapping[str, Any] = field(default_factory=dict, compare=False)
    """The settings that passages were looked up by, and the digest of the model that made vectors."""
    settings: str | None = field(default=None, compare=False)
    """The settings' digest (``looking``), for the receipt."""

    @property
    def outcome(self) -> Outcome:
        """What the answer is: from documents, without any, or that there are none."""
        if self.passages:
            return "answered"
        return "abstained" if self.abstain else "nothing_fits"

    @property
    def committed(self) -> str:
        """The places of the passages as JSON: what a commitment to the prompt holds of them."""
        return json.dumps([placed(one.place) for one in self.passages], sort_keys=True, separators=(",", ":"))

    def told(self, messages: Sequence[ChatMessage]) -> tuple[ChatMessage, ...]:
        """The conversation as the model reads it: the question with its quotations."""
        if not self.passages:
            return tuple(messages)
        *before, last = messages
        return (*before, {**last, "content": quoting.asked(last["content"], self.passages)})

    def ruled(self, messages: Sequence[Message]) -> tuple[Message, ...]:
        """``messages`` with the site's rule at the end of the system message; of one that there is, the scope stays."""
        if not self.passages:
            return tuple(messages)
        if messages and messages[0].role == "system":
            return (replace(messages[0], content=f"{messages[0].content}\n\n{quoting.RULE}"), *messages[1:])
        return (Message("system", quoting.RULE, "site"), *messages)


def checked(messages: Sequence[ChatMessage]) -> None:
    """Raises ``UnprocessableError`` where no person asks last: quotations stand by a question and by nothing else."""
    if messages[-1]["role"] != "user" or any(m["role"] == "tool" or "tool_calls" in m for m in messages):
        raise UnprocessableError(
            "documents go with a conversation that ends with a user's message and calls no tools", param="documents"
        )


def looked_up(messages: Sequence[ChatMessage]) -> str:
    """What documents are searched for: the last question, with the one before it where it says too little."""
    asked = [message["content"] for message in messages if message["role"] == "user"]
    if len(asked) > 1 and len(terms(asked[-1])) < _FEW:
        return f"{asked[-1]}\n{asked[-2]}"
    return asked[-1]


def rested(answer: str, grounding: Grounding, there: Sequence[Found | None] | None) -> dict[str, Any]:
    """The part of a receipt that says what ``answer`` rests on; no text of a document.

    ``there``: each passage as it stands in the library now, for whoever asked. One that says something else than was
    given, or is not there for them, carries nothing and is ``gone``. None: the library did not say, and nothing is
    ``checked``: then no claim has a source.
    """
    held = [_unchanged(one, now) for one, now in zip(grounding.passages, there or (), strict=False)]
    held += [None] * (len(grounding.passages) - len(held))
    claims = cited(answer, held) if grounding.passages else ()
    sources = {citation.passage for claim in claims for citation in claim.citations}
    return {
        "outcome": grounding.outcome,
        "checked": there is not None,
        **({"settings": grounding.settings} if grounding.settings is not None else {}),
        "passages": [
            {
                "number": number,
                **placed(one.place),
                "digest": one.digest,
                "page": one.page,
                "cited": number in sources,
                "gone": held[number - 1] is None,
            }
            for number, one in enumerate(grounding.passages, start=1)
        ],
        "claims": [claim.told() for claim in claims],
    }


def placed(place: Place) -> dict[str, Any]:
    """A place as receipts and the log name it."""
    return {"document": str(place.document), "version": place.version, "first": place.first, "last": place.last}


def entered(rested: dict[str, Any] | None) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """For the log: digests of the files that were cited, and each span that a claim rests on, once.

    A span is ``NUMBER FIRST-LAST``: the number is that of the passage in ``given``, which the request's entry has.
    """
    if rested is None:
        return (), ()
    digest = {one["number"]: one["digest"] for one in rested["passages"]}
    spans = [(c["passage"], c["first"], c["last"]) for claim in rested["claims"] for c in claim["citations"]]
    digests = dict.fromkeys(digest[number] for number, _, _ in spans)
    return tuple(digests), tuple(dict.fromkeys(f"{number} {first}-{last}" for number, first, last in spans))


def given(grounding: Grounding) -> tuple[str, ...]:
    """For the log, before the first token: each passage that the model is shown, in the order in which it is.

    ``DOCUMENT VERSION FIRST-LAST``, or ``NUMBER FIRST-LAST`` where that passage, counted from 1, is of the same.
    """
    numbers: dict[tuple[object, str], int] = {}
    told = []
    for number, one in enumerate(grounding.passages, start=1):
        earlier = numbers.setdefault((one.document, one.text_digest), number)
        source = f"{one.document} {one.text_digest}" if earlier == number else str(earlier)
        told.append(f"{source} {one.first}-{one.last}")
    return tuple(told)


def shown(rested: dict[str, Any], grounding: Grounding) -> dict[str, Any]:
    """What whoever asked is told beside the receipt: the same, with titles, headings and words of the passages.

    Of a passage that was taken from them meanwhile, nothing.
    """
    passages = [
        {**told, **({} if told["gone"] else worded(one))}
        for told, one in zip(rested["passages"], grounding.passages, strict=True)
    ]
    return {**rested, "passages": passages}


def worded(one: Found) -> dict[str, Any]:
    """A passage's own words, for who may see it."""
    return {"title": one.title, "headings": list(one.headings), "page": one.page, "text": one.body}


def _unchanged(given: Found, now: Found | None) -> Found | None:
    same = now is not None and (now.place, now.body) == (given.place, given.body)
    return now if same else None
