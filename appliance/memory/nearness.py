"""How near two texts are, by the cosine of their vectors, on one scale for every embedding model. Pure.

Models differ in what texts have in common that have nothing to do with each other: with some nearly nothing, with
others four fifths. The thresholds here (``fitting``, the clusters of an expert's queue) were chosen with a model whose
unrelated texts come to ``CHOSEN_WITH``; another model's cosines are drawn out so that its unrelated texts come to that
too, and a text is as near to itself as ever.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Cosine = TypeVar("Cosine", float, NDArray[np.float64])

CHOSEN_WITH = 16
"""Percent: all-MiniLM-L6-v2's (`python -m tests.bench.learning --tune` says a model's)."""


def nearness(cosine: Cosine, unrelated: int | None) -> Cosine:
    """``cosine`` on that scale; ``unrelated``: percent, below 100, as the model's record says. None: as it is."""
    if unrelated is None or unrelated == CHOSEN_WITH:
        return cosine
    return 1 - (1 - cosine) * ((100 - CHOSEN_WITH) / (100 - unrelated))
