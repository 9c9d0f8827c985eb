"""An admitted request, as everything behind the HTTP side sees it."""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from appliance.engine.answering import Answering
    from appliance.engine.context import Sampling
    from appliance.engine.protocol import Event, Scope

INTERACTIVE, BATCH = 0, 1


@dataclass(frozen=True)
class Owner:
    """Whose a beginning of a prompt is. Two requests meet in a cache only where their owners are equal.

    What was computed with an adapter is another thing than without: ``adapter`` is its name, or empty.
    """

    scope: Scope
    name: str
    adapter: str = ""


@dataclass(frozen=True)
class Passage:
    """The first ``length`` tokens of a prompt may be shared among the requests of ``owner``."""

    owner: Owner
    length: int


@dataclass(eq=False)
class Job:
    """``emit`` is called by the owner thread alone; ``cancelled`` may be set by anyone.

    ``rank``: ``INTERACTIVE`` or ``BATCH``. ``weight``: the share of its group. ``alone``: in an empty context, with no
    other request beside it. ``kept``: its cells may stay for the user's next request. ``adapter``: its
    name, or empty for the model as it is. ``answering`` is what it has come to when it was preempted. ``inputs``: the
    texts of which vectors are made, instead of ``tokens``.
    """

    tokens: tuple[int, ...]
    sampling: Sampling
    stops: tuple[str, ...]
    max_tokens: int
    emit: Callable[[Event], None]
    user: str = ""
    weight: float = 1.0
    rank: int = INTERACTIVE
    alone: bool = False
    kept: bool = True
    adapter: str = ""
    inputs: tuple[Sequence[int], ...] = ()
    top_logprobs: int | None = None
    passages: tuple[Passage, ...] = ()
    queued_at: float = field(default_factory=time.monotonic)
    cancelled: threading.Event = field(default_factory=threading.Event)
    answering: Answering | None = None
