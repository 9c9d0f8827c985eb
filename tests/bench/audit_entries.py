"""What one question leaves in a site's log: an entry of its own, and its answer's, which rests on three documents.

Each has what a gateway writes, by the same builders, of a person who asks on the page: who, which model, how drawn, the
passages that the model was shown, as many as a site gives unless it says otherwise; then the cost, the receipt's
digest, the documents' digests and the spans that claims rest on. Identifiers and digests are of the question's own, as
hard to compress as a site's; documents are some of a thousand. A million are made from the bytes of two.
"""

from __future__ import annotations

import hashlib
import uuid
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from appliance.audit import events
from appliance.audit.entry import encode_entry
from appliance.audit.open_requests import BEGUN, ENDED
from appliance.audit.roles import GATEWAY
from appliance.gateway.looking import Looking
from tests.bench.audit_load import event

if TYPE_CHECKING:
    from collections.abc import Sequence

DOCUMENTS = 1000
RESTED, SPANS, PASSAGES = 3, 4, Looking().passages
INSTANCE = "5e" * 8
KINDS = ("request", "answer")
Pair = tuple[bytes, bytes]


def digest(text: str) -> str:
    """As digests and commitments look in an entry."""
    return "sha256:" + hashlib.sha256(text.encode()).hexdigest()


@dataclass
class Sizes:
    """Of entries of one kind, in bytes, without what tiles add."""

    entries: int = 0
    total: int = 0
    largest: int = 0

    def add(self, entry: bytes) -> None:
        """This one too."""
        self.entries += 1
        self.total += len(entry)
        self.largest = max(self.largest, len(entry))

    def told(self) -> dict[str, float]:
        """For the result."""
        return {
            "entries": self.entries,
            "mean_bytes": round(self.total / self.entries, 1),
            "largest_bytes": self.largest,
        }


@dataclass
class Questions:
    """Makes entries; ``plain``: of questions that no documents were asked for."""

    plain: bool = False
    _request: bytes = field(init=False)
    _answer: bytes = field(init=False)

    def __post_init__(self) -> None:
        marks = {name: digest(f"mark of {name}") for name in ("prompt", "answer", "receipt")}
        marks["id"] = digest("mark of id")[-32:]
        lists = {"passages": ["passages"], "documents": ["documents"], "spans": ["spans"]}
        began, ended = self._made(marks, {} if self.plain else lists)
        for name, mark in marks.items():
            began, ended = (one.replace(mark.encode(), b"%%(%s)b" % name.encode()) for one in (began, ended))
        for name in lists:
            old = b'"%s":["%s"]' % (name.encode(), name.encode())
            new = b'"%s":[%%(%s)b]' % (name.encode(), name.encode())
            began, ended = (one.replace(old, new) for one in (began, ended))
        self._request, self._answer = began, ended.replace(b'"request_index":0', b'"request_index":%(index)d')

    def pair(self, number: int) -> Pair:
        """The entries of question ``number``, which lie one after the other: the log begins with number 0."""
        own = {name.encode(): digest(f"{name} {number}").encode() for name in ("prompt", "answer", "receipt")}
        values: dict[bytes, Any] = {**own, b"id": digest(f"id {number}")[-32:].encode(), b"index": 2 * number}
        if not self.plain:
            shown = [_DOCUMENTS[(number * 7 + place) % DOCUMENTS] for place in range(RESTED)]
            at = number % 89
            of = [shown[n][0] if n < RESTED else str(n % RESTED + 1) for n in range(PASSAGES)]
            passages = [f"{source} {1700 * at + 400 * n}-{1700 * at + 400 * n + 390}" for n, source in enumerate(of)]
            spans = [f"{n + 1} {1700 * at + 400 * n + 90}-{1700 * at + 400 * n + 270}" for n in range(SPANS)]
            values |= {b"passages": _listed(passages), b"spans": _listed(spans)}
            values[b"documents"] = _listed([name for _, name in shown])
        return self._request % values, self._answer % values

    def _made(self, marks: dict[str, str], lists: dict[str, list[str]]) -> Pair:
        request = event(marks["id"])["unmapped"]["sovereign"]
        caller: dict[str, Any] = {
            "request_id": marks["id"],
            "subject": digest("analyst")[-32:],
            "groups": ("analysts",),
            "model_digest": "sha256:" + "a5" * 32,
            "model_name": "gemma3-270m",
            "producer": "Example Models",
            "purpose": request["purpose"],
        }
        sampler = {"temperature": 0.7, "top_p": 0.95, "seed": 1_234_567_890, "max_tokens": 1024}
        began = events.request(
            **caller,
            prompt_commitment=marks["prompt"],
            client_id=request["client_id"],
            sampler=sampler,
            passages=lists.get("passages"),
        )
        ended = events.answer(
            **caller,
            outcome="stop",
            prompt_tokens=1713,
            completion_tokens=213,
            cached_tokens=512,
            joules=123.456,
            duration_ms=4321.5,
            answer_commitment=marks["answer"],
            request_index=0,
            receipt_digest=marks["receipt"],
            documents=lists.get("documents", ()),
            spans=lists.get("spans", ()),
        )
        names = [GATEWAY.id(INSTANCE, marks["id"], step) for step in (BEGUN, ENDED)]
        return encode_entry(began, names[0]), encode_entry(ended, names[1])


def without_documents() -> dict[str, int]:
    """Bytes of both entries of a question that no documents were asked for."""
    return {kind: len(entry) for kind, entry in zip(KINDS, Questions(plain=True).pair(DOCUMENTS), strict=True)}


def _listed(texts: Sequence[str]) -> bytes:
    return ",".join(f'"{text}"' for text in texts).encode()


_DOCUMENTS = [
    (f"{uuid.UUID(digest(f'document {number}')[-32:])} {digest(f'text {number}')}", digest(f"file {number}"))
    for number in range(DOCUMENTS)
]
"""Of each, its name and the digest of its text, as places have them; and its file's digest."""
