"""What of a conversation is sent to the model: pure functions.

The gateway has no tokenizer; the engine has the last word. A first cut uses an estimate (bytes over three, plus a
few tokens of template per message), which drops the oldest turns; if the engine still finds the prompt too long,
``without_oldest`` drops one more turn and the caller asks again.
"""

from __future__ import annotations

import math
from itertools import pairwise
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

ChatMessage = dict[str, str]

TITLE_CHARACTERS = 60
_BYTES_PER_TOKEN = 3  # of ordinary prose; digits and rare scripts take a token for every byte
_TEMPLATE_TOKENS = 8


def estimated_tokens(text: str) -> int:
    """A cautious guess of how many tokens ``text`` takes."""
    return math.ceil(len(text.encode()) / _BYTES_PER_TOKEN) + _TEMPLATE_TOKENS


def most_tokens(texts: Sequence[str]) -> int:
    """The most that ``texts`` can take: no tokenizer makes more tokens than there are bytes."""
    return sum(len(text.encode()) + _TEMPLATE_TOKENS for text in texts)


def estimated_prompt(messages: Sequence[ChatMessage]) -> int:
    """The same for a list of messages."""
    return sum(estimated_tokens(m["content"]) for m in messages)


def asked_after(earlier: Sequence[ChatMessage], question: str) -> list[ChatMessage]:
    """The chat to send: earlier turns that have an answer, then the question.

    A question whose answer is empty (stopped before its first token) is left out with it: templates want the roles
    to alternate.
    """
    chat: list[ChatMessage] = []
    for asked, answered in pairwise(earlier):
        if (asked["role"], answered["role"]) == ("user", "assistant") and answered["content"]:
            chat += [asked, answered]
    return [*chat, {"role": "user", "content": question}]


def fitted(messages: Sequence[ChatMessage], budget_tokens: int) -> list[ChatMessage]:
    """``messages`` without its oldest turns, so that the estimate fits the budget.

    System messages and the last message always stay.
    """
    kept = list(messages)
    while estimated_prompt(kept) > budget_tokens:
        shorter = without_oldest(kept)
        if shorter is None:
            break
        kept = shorter
    return kept


def without_oldest(messages: Sequence[ChatMessage]) -> list[ChatMessage] | None:
    """``messages`` without the oldest question and its answer; ``None`` when only the last message is left."""
    system = [m for m in messages if m["role"] == "system"]
    turns = [m for m in messages if m["role"] != "system"]
    if len(turns) <= 1:
        return None
    rest = turns[1:]
    while len(rest) > 1 and rest[0]["role"] != "user":
        rest = rest[1:]
    return system + rest


def title_of(question: str) -> str:
    """A conversation's title: the first line of its first question, trimmed at a word."""
    line = " ".join(question.split())
    if len(line) <= TITLE_CHARACTERS:
        return line
    cut = line[:TITLE_CHARACTERS]
    head, space, _ = cut.rpartition(" ")
    return (head if space and len(head) > TITLE_CHARACTERS // 2 else cut) + "…"
