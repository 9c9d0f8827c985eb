"""What an answer gives away of how sure it is: a few numbers from its tokens and from the passages it rests on. Pure.

- ``mean``: the mean log probability of its tokens (the model's own distribution, before temperature and cuts).
- ``lowest``: the lowest mean over ``WINDOW`` tokens in a row: one doubtful name in a long sentence shows here.
- ``length``: the logarithm of one more than the count of tokens.
- ``grounded``: 1 where it was given passages.
- ``supported``: the share of its claims that rest on one of them; 0 where there is none.
- ``retrieved``: how near the nearest passage is to the question, by its cosine; 0 where no vector was compared.

None of it says that an answer is right. What it says of that is learnt from labels (``calibration``). Means of token
log probabilities as a signal: Malinin & Gales, "Uncertainty Estimation in Autoregressive Structured Prediction",
ICLR 2021. The least likely token as one: Manakul et al., "SelfCheckGPT", EMNLP 2023; of one token alone too much is
chance, hence windows.
"""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass, fields
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

WINDOW = 5
LEAST = -20.0
"""Log probabilities count as this much at least: beyond, one token would outweigh any answer."""
MOST_TOKENS = 1 << 20


@dataclass(frozen=True)
class Signal:
    """The features of one answer, all finite."""

    mean: float
    lowest: float
    length: float
    grounded: float = 0.0
    supported: float = 0.0
    retrieved: float = 0.0

    def told(self) -> dict[str, float]:
        """As receipts and results hold it."""
        return {name: round(value, 6) for name, value in asdict(self).items()}

    @property
    def likelihood(self) -> float:
        """The geometric mean of its tokens' probabilities: what one would call its confidence without labels."""
        return math.exp(self.mean)


NAMES = tuple(field.name for field in fields(Signal))


def signal(
    logprobs: Sequence[float], documents: Mapping[str, Any] | None = None, cosines: Sequence[float | None] = ()
) -> Signal | None:
    """The features of an answer of these tokens; ``documents`` is its receipt's part, ``cosines`` of its passages.

    None for an answer without tokens, and where an engine says what is no logarithm of a probability: then nothing is
    known, and nothing is guessed.
    """
    if not 0 < len(logprobs) <= MOST_TOKENS or not all(_is_logarithm(one) for one in logprobs):
        return None
    kept = [max(LEAST, float(one)) for one in logprobs]
    known = [min(1.0, max(-1.0, one)) for one in cosines if one is not None and math.isfinite(one)]
    given = bool(documents and documents.get("passages"))
    return Signal(
        mean=math.fsum(kept) / len(kept),
        lowest=_lowest(kept),
        length=math.log1p(len(kept)),
        grounded=float(given),
        supported=_supported(documents) if documents and given else 0.0,
        retrieved=max(known, default=0.0) if given else 0.0,
    )


def _is_logarithm(value: float) -> bool:
    return not math.isnan(value) and value <= 0


def _lowest(values: Sequence[float]) -> float:
    width = min(WINDOW, len(values))
    return min(math.fsum(values[at : at + width]) / width for at in range(len(values) - width + 1))


def _supported(documents: Mapping[str, Any]) -> float:
    claims = documents.get("claims") or ()
    resting = sum(bool(claim.get("citations")) for claim in claims)
    return resting / len(claims) if claims else 0.0
