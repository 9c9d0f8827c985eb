"""What an engine is, whichever implementation runs behind it: requests in, a stream of events out."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, Protocol

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

FinishReason = Literal["stop", "length", "cancelled"]
Role = Literal["system", "user", "assistant", "tool"]
MAX_TOP_LOGPROBS = 20
CHOICES = frozenset({"none", "auto", "required"})
"""What ``Request.tool_choice`` says without naming a tool: no tool has such a name."""
Scope = Literal["site", "group", "user"]
"""Among whose requests what was computed of a text may be shared: everybody's, a group's, or one person's alone."""
Tier = Literal["pinned", "parked", "disk", "live"]
"""Where tokens lay that were not computed again: in cells that stay, in cells that may go, on disk until then, or in
those of a request that was at work."""


@dataclass(frozen=True)
class Tool:
    """A tool that whoever asks would run; nothing here does. ``parameters``: a JSON schema of its arguments."""

    name: str
    description: str = ""
    parameters: dict[str, Any] | None = None


@dataclass(frozen=True)
class ToolCall:
    """A call that the model made, whole: a message's, or an event. ``arguments``: a JSON object as text."""

    id: str
    name: str
    arguments: str


@dataclass(frozen=True)
class Message:
    """One turn of a conversation. Only what the site or a group wrote has another ``scope`` than ``user``.

    Scopes narrow: after a message of a group comes none of the site, after one of a user neither. ``tool_calls`` are an
    assistant's; a ``tool`` says what came of the call ``tool_call_id``.
    """

    role: Role
    content: str
    scope: Scope = "user"
    tool_calls: tuple[ToolCall, ...] = ()
    tool_call_id: str = ""


@dataclass(frozen=True)
class Request:
    """What one person asks of the model.

    Exactly one of ``prompt`` (continued as it is), ``messages`` (rendered by the signed chat template, whose own stop
    strings are then added) and ``inputs`` (texts of which an embedding model makes vectors) is given. ``seed=None``
    lets the engine draw one; ``Admitted.seed`` states it.
    ``user``, ``group``, ``weight`` and ``priority`` are for scheduling and sharing only and appear in no log and no
    metric: ``weight`` is the group's share beside others, a ``priority`` below 0 is work that nobody waits for.
    ``site_characters`` and ``group_characters`` say how much of a ``prompt``'s beginning the site wrote, and how much
    the site and the group together. ``replay``: alone, in an empty context, the prompt split at every batch, so that
    the same request gives the same logits.
    ``top_logprobs``: with each token its log probability, and those of so many likeliest ones (at most
    ``MAX_TOP_LOGPROBS``); None: without.
    ``adapter`` names one of the model's adapters (LoRA) that the site serves with it; None: the model as it is.
    ``tools`` may be called as ``tool_choice`` says: ``none``, ``auto``, ``required`` (at least one of them), or a
    tool's name (that one); ``parallel_calls``: several in one answer.
    ``receipt_digest`` names the model that the request was admitted and logged for: an engine that has been started on
    another one since does not answer it, so that no receipt names the wrong model.
    ``kept``: what is computed of the user's words may stay for their next request. False where the prompt holds what
    they may not see tomorrow; what the site and the group wrote stays all the same.
    """

    id: str
    user: str
    group: str
    priority: int = 0
    prompt: str | None = None
    messages: tuple[Message, ...] | None = None
    inputs: tuple[str, ...] | None = None
    max_tokens: int = 512
    temperature: float = 0.7
    top_p: float = 1.0
    top_k: int | None = None
    seed: int | None = None
    stop: tuple[str, ...] = ()
    json_schema: dict[str, Any] | None = None
    weight: float = 1.0
    site_characters: int = 0
    group_characters: int = 0
    replay: bool = False
    top_logprobs: int | None = None
    adapter: str | None = None
    tools: tuple[Tool, ...] = ()
    tool_choice: str = "auto"
    parallel_calls: bool = True
    receipt_digest: str | None = None
    kept: bool = True

    def __post_init__(self) -> None:
        if sum(given is not None for given in (self.prompt, self.messages, self.inputs)) != 1:
            raise ValueError("exactly one of prompt, messages and inputs is given")


@dataclass(frozen=True)
class Usage:
    """Tokens of one request. ``cached_tokens``: those of the prompt that were there and never computed for it."""

    prompt_tokens: int
    cached_tokens: int
    completion_tokens: int


@dataclass(frozen=True)
class Spared:
    """``tokens`` of a prompt that were not computed again: what held them, and who may share them."""

    tier: Tier
    scope: Scope
    tokens: int


@dataclass(frozen=True)
class Timing:
    """Where the time went, in milliseconds: waiting, then reading the prompt up to the first token, then the rest."""

    queue_ms: float
    first_token_ms: float
    decode_ms: float


@dataclass(frozen=True)
class Energy:
    """Energy of one request above the idle draw; ``idle_joules`` is the idle draw over the same time, stated apart.

    ``measured``: by the processor's counter of its whole package; ``estimated``: by declared watts.
    """

    joules: float
    method: Literal["estimated", "measured"]
    watts: float
    idle_joules: float


@dataclass(frozen=True)
class Admitted:
    """The request is in the queue; ``queue_position`` others must end before it begins (0: it begins at once)."""

    queue_position: int
    prompt_tokens: int
    seed: int


@dataclass(frozen=True)
class TokenLogprob:
    """A drawn token: its bytes, and the natural logarithm of the probability that the model gave it.

    That is the model's own distribution: before temperature, cuts and grammar. ``top``: the likeliest tokens in its
    place as (bytes, logarithm), likeliest first; the one drawn need not be among them.
    """

    piece: bytes
    logprob: float
    top: tuple[tuple[bytes, float], ...] = ()


@dataclass(frozen=True)
class Token:
    """Text that is final: complete characters, and no beginning of a stop string.

    ``logprobs`` are of the tokens whose first character is in ``text``, where the request asked for them.
    """

    text: str
    logprobs: tuple[TokenLogprob, ...] = ()


@dataclass(frozen=True)
class Vectors:
    """One vector of length 1 for each of a request's ``inputs``: float32, little-endian."""

    vectors: tuple[bytes, ...]


@dataclass(frozen=True)
class End:
    """The last event of every request that did not fail.

    ``spared`` says of each of the ``usage.cached_tokens`` once where it lay; an engine that does not know says nothing.
    """

    finish_reason: FinishReason
    usage: Usage
    timing: Timing
    energy: Energy
    spared: tuple[Spared, ...] = ()


@dataclass(frozen=True)
class Failed:
    """The last event of a request that the engine could not finish."""

    code: str
    message: str


Event = Admitted | Token | ToolCall | Vectors | End | Failed


@dataclass(frozen=True)
class QueueStatus:
    """How busy the engine is."""

    running: int
    waiting: int
    limit: int
    accepting: bool


class Engine(Protocol):
    """One model that answers requests."""

    def submit(self, request: Request) -> AsyncGenerator[Event, None]:
        """Answer ``request``: ``Admitted``, any ``Token`` and ``ToolCall`` or one ``Vectors``, ``End`` or ``Failed``.

        Before the first event it raises ``EngineBusyError``, ``EngineDrainingError`` or ``EngineRefusedError``.
        Closing the iterator cancels the request within one decode step.
        """
        ...

    def status(self) -> QueueStatus:
        """Queue and readiness, at this moment."""
        ...

    async def drain(self, bound_s: float) -> None:
        """Take nothing new, let what was admitted finish for ``bound_s`` seconds, then cancel the rest."""
        ...
