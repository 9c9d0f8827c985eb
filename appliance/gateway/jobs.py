"""One request for an answer, fully decided: who, which model, what is sent, how it is drawn."""

from __future__ import annotations

import json
import uuid
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from appliance.audit.commitment import new_salt
from appliance.gateway.tools import NO_TOOLS, Tools

if TYPE_CHECKING:
    from appliance.engine.client import ModelInfo
    from appliance.gateway.callers import Caller
    from appliance.gateway.entitlements import Grant
    from appliance.gateway.grounding import Grounding
    from appliance.gateway.history import ChatMessage
    from appliance.gateway.judging import Judging
    from appliance.gateway.quota import Reservation
    from appliance.gateway.sampling import Sampling

CHAT = "chat.completions"
COMPLETION = "completions"
EMBEDDING = "embeddings"


@dataclass(frozen=True)
class Job:
    """Everything about one request. Exactly one of ``messages``, ``prompt`` and ``inputs`` is set."""

    caller: Caller
    grant: Grant
    model: ModelInfo
    sampling: Sampling
    reservation: Reservation
    purpose: str
    messages: tuple[ChatMessage, ...] | None = None
    prompt: str | None = None
    inputs: tuple[str, ...] | None = None
    tools: Tools = NO_TOOLS
    grounding: Grounding | None = None
    judging: Judging | None = None
    """How sure the answer is, is measured where this is there."""
    priority: int = 0
    request_id: str = field(default_factory=lambda: uuid.uuid4().hex)
    prompt_salt: bytes = field(default_factory=new_salt)

    @property
    def operation(self) -> str:
        """The API operation this is, as the log names it."""
        if self.inputs is not None:
            return EMBEDDING
        return COMPLETION if self.messages is None else CHAT

    def committed_prompt(self) -> bytes:
        """The bytes that the prompt commitment is made of.

        A completion: the prompt in UTF-8. A chat: the messages, vectors: the texts, as JSON with sorted keys, no
        spaces, UTF-8; so that whoever holds them and the salt can recompute the commitment. Tools follow in a
        second line, places of passages (``Grounding.committed``) in a last one.
        """
        if self.prompt is not None:
            return self.prompt.encode()
        said = self.messages if self.messages is not None else self.inputs or ()
        text = json.dumps(list(said), ensure_ascii=False, sort_keys=True, separators=(",", ":"))
        parts = [text, self.tools.text, self.grounding.committed if self.grounding is not None else ""]
        return "\n".join(part for part in parts if part).encode()
