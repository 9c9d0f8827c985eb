"""What the fake gateway answers: scripted texts, refusals, and receipts shaped like the real ones."""

from __future__ import annotations

import base64
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from appliance.audit.commitment import commit, new_salt
from appliance.gateway.grounding import Grounding
from tests.memory.passages import passage

if TYPE_CHECKING:
    from appliance.memory.documents import Found

ANSWER = """The rule has **three parts**, and the second is the one that is usually missed:

1. The request is made in writing.
2. The office confirms receipt *within five working days*.
3. The decision names the legal basis.

A short form for the file:

```text
received: 2026-03-02
due:      2026-03-09
```

See [the circular](https://intranet.example/circular) for the wording; `form 12` is no longer needed."""

HOSTILE = """<img src="https://outside.example/a.png" onerror="alert(1)"> and <script>alert(2)</script>

![chart](https://outside.example/chart.png) [click](javascript:alert(3))

| Name | Value |
|------|-------|
| <b>a</b> | `1` |

> quoted **text**

<style>body{display:none}</style>"""

PARKING = passage(
    "Visitors may park in bay seven.\nA visit lasts at most ninety minutes; 🚲 bicycles stand in the cellar.",
    "House rules <b>2026</b>",
    "Parking",
    "Visitors",
    page=3,
    first=1200,
)
SAFE = passage(
    "![plan](https://outside.example/plan.png) The safe opens at nine. <img src=https://outside.example/x>",
    "Safe [1](https://outside.example)",
)
CITED = """Here is what the rules say:

🚲 Visitors may park in bay seven [1]. A visit of visitors lasts ninety minutes at most.

- The safe opens at nine [1].
- Dogs sleep upstairs [7].

| What | When |
|------|------|
| The safe opens at nine | daily [2] |

```text
[1] stays as it is in code.
```"""

LONG = "\n\n".join(
    f"Paragraph {n}. " + "Every sentence here adds a little to the length of it. " * 6 for n in range(1, 25)
)


@dataclass(frozen=True)
class Refusal:
    """A problem (RFC 9457) instead of, or in the middle of, an answer."""

    status: int
    code: str
    detail: str
    retry_after: int | None = None

    def body(self) -> dict[str, Any]:
        """The problem's JSON."""
        found: dict[str, Any] = {
            "type": f"urn:sovereign:problem:{self.code}",
            "title": self.code,
            "status": self.status,
            "detail": self.detail,
            "code": self.code,
        }
        return found if self.retry_after is None else {**found, "retry_after": self.retry_after}


LOG_DOWN = Refusal(503, "audit_unavailable", "the audit log takes no entries")
LIMIT = Refusal(429, "quota_exceeded", "60 requests per minute is used up", retry_after=2)
EXPIRED = Refusal(401, "unauthenticated", "there is no session")
TOO_LONG = Refusal(422, "context_length_exceeded", "the question has 9000 tokens; the model reads 4096")
DEFECT = Refusal(500, "internal_error", "the gateway met an error of its own")
ENGINE_GONE = Refusal(503, "unavailable", "the engine does not answer")


@dataclass(frozen=True)
class Script:
    """One answer. ``refused``: before the stream. ``broken``: after ``hold_after`` tokens, else at the end.

    ``hold_after``: send so many tokens, then wait for ``FakeGateway.release`` or for the reader to go away.
    ``passages``: what it rests on, where it is from documents.
    ``cut``: close the stream without a word where ``broken`` would stand.
    """

    text: str = ANSWER
    refused: Refusal | None = None
    broken: Refusal | None = None
    cut: bool = False
    hold_after: int | None = None
    finish_reason: str = "stop"
    passages: tuple[Found, ...] | None = None
    token_seconds: float = 0.0
    confidence: dict[str, Any] | None = None
    """What the receipt says of how sure it is."""
    held: tuple[int, ...] = ()
    """Tokens that the reader is told of before any of them is shown; ``hold_after=0`` waits after these."""

    @property
    def grounding(self) -> Grounding | None:
        """What an answer from documents was given; no passages: none fitted, and the site abstains."""
        return None if self.passages is None else Grounding(self.passages, abstain=True)

    def tokens(self) -> list[str]:
        """The text in pieces of a few characters, as a model writes it."""
        return [self.text[at : at + 7] for at in range(0, len(self.text), 7)]


WAIVER = {
    "waives": ["producer-verified", "conversion-closed"],
    "reason": "trial on public texts only, until the producer's signed weights arrive",
    "expires": "2027-06-30T00:00:00Z",
    "officer": "security-officer",
}

MODEL_RECEIPTS: dict[str, dict[str, Any]] = {
    "gemma3-270m": {
        "name": "gemma3-270m",
        "version": "1.0.0",
        "digest": "sha256:" + "3b1f0c9a" * 8,
        "template_digest": "sha256:" + "77aa20d4" * 8,
        "signers": ["release-one", "release-two"],
        "release": "1.0.0",
        "licence": "LicenseRef-Gemma-Terms",
        "producer": "Google",
        "jurisdiction": "US",
        "waivers": [WAIVER],
    },
    "apertus-8b": {
        "name": "apertus-8b",
        "version": "2.1.0",
        "digest": "sha256:" + "c04de2b7" * 8,
        "template_digest": "sha256:" + "19be4f60" * 8,
        "signers": ["release-one", "release-two"],
        "release": "1.0.0",
        "licence": "Apache-2.0",
        "producer": "Swiss AI Initiative",
        "jurisdiction": "CH",
        "waivers": [],
    },
}


def session_model(name: str) -> dict[str, Any]:
    """The model as GET /api/session lists it."""
    receipt = MODEL_RECEIPTS[name]
    kept = {key: receipt[key] for key in ("licence", "producer", "signers", "digest")}
    return {"id": name, **kept, "waived": bool(receipt["waivers"]), "context_tokens": 4096}


def receipt(model: str, question: str, answer: str, index: int) -> dict[str, Any]:
    """A receipt whose commitments are real."""
    prompt_salt, answer_salt = new_salt(), new_salt()
    tokens = max(1, len(answer) // 4)
    return {
        "request_id": f"00000000-0000-4000-8000-{index:012d}",
        "model": MODEL_RECEIPTS[model],
        "sampler": {"temperature": 0.7, "top_p": 0.95, "seed": 1234567, "max_tokens": 1024},
        "usage": {"prompt_tokens": len(question) // 4 + 12, "cached_tokens": 0, "completion_tokens": tokens},
        "timing": {"queue_ms": 4.0, "first_token_ms": 312.0, "decode_ms": tokens * 21.5},
        "energy": {"joules": tokens * 0.58, "method": "estimated", "watts": 35.0, "idle_joules": tokens * 0.17},
        "commitments": {
            "prompt": commit(question.encode(), prompt_salt),
            "prompt_salt": base64.b64encode(prompt_salt).decode(),
            "answer": commit(answer.encode(), answer_salt),
            "answer_salt": base64.b64encode(answer_salt).decode(),
        },
        "issued": "2026-03-02T09:41:07.120Z",
        "log": {"origin": "audit.site.example", "request_index": index, "answer_index": index + 1, "size": index + 2},
    }
