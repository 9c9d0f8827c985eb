"""What a request's computing cost in energy: by the hardware's own counters where there are any, else by declaration.

A request is charged the draw *above* idle while it computes; the idle draw over the same time, which site.yaml
declares, is stated beside it and never mixed in. ``measured``: the counters' joules over each step, split by rows; they
count a whole package or GPU, so whatever else ran on it then is in it too. ``estimated``: seconds times declared watts.
"""

from __future__ import annotations

import math
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from appliance.engine.protocol import Energy

if TYPE_CHECKING:
    from appliance.engine.nvml import Counters


@dataclass(frozen=True)
class Cost:
    """What a piece of work took; ``joules`` None where nothing counted them."""

    seconds: float
    joules: float | None


class Watch:
    """Started before a piece of work, and asked after it."""

    def __init__(self, draw: Draw) -> None:
        self._draw = draw
        self._joules = draw.joules()
        self._begun = time.monotonic()

    def cost(self) -> Cost:
        """Since it was started."""
        seconds, now = time.monotonic() - self._begun, self._draw.joules()
        return Cost(seconds, None if now is None or self._joules is None else now - self._joules)


class Draw(Protocol):
    """Where figures of energy come from."""

    def joules(self) -> float | None:
        """Joules drawn since some moment in the past; None where nothing counts them."""

    def over(self, seconds: float, joules: float | None, lasting: float = math.inf) -> Energy:
        """Energy of ``seconds`` of computing, in which ``joules`` were counted; ``lasting``: from begin to end."""


@dataclass(frozen=True)
class DeclaredDraw:
    """Watts of the host while decoding and while idle, as site.yaml declares them."""

    busy: float
    idle: float

    def joules(self) -> float | None:
        """See ``Draw``: nothing counts."""
        return None

    def over(self, seconds: float, joules: float | None = None, lasting: float = math.inf) -> Energy:
        """See ``Draw``."""
        del joules, lasting
        return Energy(
            joules=round(max(0.0, self.busy - self.idle) * seconds, 3),
            method="estimated",
            watts=self.busy,
            idle_joules=round(self.idle * seconds, 3),
        )


@dataclass(frozen=True)
class MeasuredDraw:
    """The hardware's counters; ``idle`` are declared watts, ``declared`` is for requests that no counter saw.

    Nor does one that needs ``settles_s`` see what does not last as long.
    """

    counters: Counters
    idle: float
    declared: DeclaredDraw
    settles_s: float = 0.0

    def joules(self) -> float | None:
        """See ``Draw``; None where reading fails at the moment."""
        return self.counters.joules()

    def over(self, seconds: float, joules: float | None, lasting: float = math.inf) -> Energy:
        """See ``Draw``. ``watts`` are what was drawn on average."""
        if joules is None or seconds <= 0 or lasting < self.settles_s:
            return self.declared.over(seconds)
        return Energy(
            joules=round(max(0.0, joules - self.idle * seconds), 3),
            method="measured",
            watts=round(joules / seconds, 1),
            idle_joules=round(self.idle * seconds, 3),
        )
