"""Failures that are about the same thing, put together and named. Pure.

Average-linkage clustering on cosine similarity (Sokal and Michener 1958): the two nearest clusters become one as long
as they are ``least`` alike on average. Unlike single linkage it makes no chains, and unlike k-means nobody has to say
how many clusters there are. Names are the words that are frequent in a cluster and rare in the others (class-based
tf-idf). It takes ``MOST`` texts: their number squared is what it costs.
"""

from __future__ import annotations

import math
from collections import Counter
from typing import TYPE_CHECKING

from appliance.learning.words import telling

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy as np
    from numpy.typing import NDArray

    Matrix = NDArray[np.float64]

MOST = 500
LEAST_OF_WORDS = 0.15
LEAST_OF_VECTORS = 0.55
NAMED_BY = 4
LONGEST = 40
"""Characters of a word that names a cluster: people write it, and it stands above others' questions."""
_STEM = 6


def clustered(similarity: Matrix, least: float) -> list[list[int]]:
    """Indices of each cluster, largest first; ``similarity`` is symmetric. Ties go to the lower index."""
    import numpy as np  # noqa: PLC0415 - a gateway that shows no queue does without

    count = len(similarity)
    members = [[index] for index in range(count)]
    linkage = similarity.astype(float, copy=True)
    np.fill_diagonal(linkage, -np.inf)
    while count > 1:
        first, second = sorted(int(i) for i in np.unravel_index(np.argmax(linkage), linkage.shape))
        if linkage[first, second] < least:
            break
        a, b = len(members[first]), len(members[second])
        joined = (a * linkage[first] + b * linkage[second]) / (a + b)  # Lance and Williams' update
        joined[[first, second]] = -np.inf
        linkage[first, :] = linkage[:, first] = joined
        linkage[second, :] = linkage[:, second] = -np.inf
        members[first] += members[second]
        members[second] = []
        count -= 1
    return sorted((sorted(one) for one in members if one), key=lambda one: (-len(one), one[0]))


def by_words(texts: Sequence[str]) -> Matrix:
    """Cosine similarity of the texts' tf-idf vectors (smoothed inverse document frequency).

    Words count by their first letters, which takes off most endings in all of the site's languages.
    """
    import numpy as np  # noqa: PLC0415 - as above

    counted = [Counter(word[:_STEM] for word in telling(text)) for text in texts]
    spread = Counter(word for counts in counted for word in counts)
    column = {word: index for index, word in enumerate(sorted(spread))}
    table = np.zeros((len(texts), max(len(column), 1)))
    for row, counts in enumerate(counted):
        for word, number in counts.items():
            table[row, column[word]] = (1 + math.log(number)) * (1 + math.log((1 + len(texts)) / (1 + spread[word])))
    return by_vectors(table)


def by_vectors(vectors: Matrix) -> Matrix:
    """Cosine similarity of rows; a row of zeros is like no other."""
    import numpy as np  # noqa: PLC0415 - as above

    lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
    unit = np.divide(vectors, lengths, out=np.zeros_like(vectors, dtype=float), where=lengths > 0)
    return np.asarray(unit @ unit.T)


def names(texts: Sequence[str], clusters: Sequence[Sequence[int]]) -> list[tuple[str, ...]]:
    """For each cluster up to ``NAMED_BY`` words: frequent in it, and rare in all the others together."""
    counted = [Counter(word for index in one for word in telling(texts[index])) for one in clusters]
    total: Counter[str] = sum(counted, Counter())
    average = total.total() / max(len(clusters), 1)

    def weight(counts: Counter[str], word: str) -> float:
        return counts[word] / counts.total() * math.log(1 + average / total[word])

    named = [sorted(counts, key=lambda word: (-weight(counts, word), word))[:NAMED_BY] for counts in counted]
    return [tuple(word[:LONGEST] for word in one) for one in named]
