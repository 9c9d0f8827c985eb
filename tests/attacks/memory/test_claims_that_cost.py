"""An answer made to cost the square of its length, by a model, a person or a document, costs a multiple of it.

Everybody's answers wait while one is read, so time is compared: for a text eight times as long, processor time of this
process. Eight is what a linear reading takes; sixty-four, what one takes that steps back.
"""

from __future__ import annotations

import time

import pytest

from appliance.memory.citations import cited
from tests.memory.passages import passage

YARD = passage("Visitors may park in bay seven. A visit lasts at most ninety minutes. The fee is 40 francs. " * 8)
SHAPES = {
    "dashes": lambda n: "Visitors " + "-" * n + " park",
    "blanks in quotation marks": lambda n: '"' + " " * n + "x",
    "one long word": lambda n: "Visitors " + "n" * n + " park",
    "contractions": lambda n: "Visitors " + "n't" * n,
    "markers that begin": lambda n: "[1," * n,
    "markers": lambda n: "a [1] " * n,
    "markers alone": lambda n: "[1]" * n,
    "quotation marks that open": lambda n: "\u201eabcdefghij " * n,
    "code that opens": lambda n: "Visitors park" + " `a" * n + "`",
    "the rule of a table": lambda n: "|" + "-" * n + "x|\n|--|",
    "rows": lambda n: "|\n" * n,
    "figures": lambda n: "The fee is " + "1," * n,
    "negative figures": lambda n: "-1" * n,
    "blanks around a marker": lambda n: "Visitors park" + " " * n + "[1]" + " " * n,
}


def _cost(text: str) -> float:
    found = []
    for _ in range(3):
        begun = time.process_time()
        cited(text, [YARD] * 5)
        found.append(time.process_time() - begun)
    return min(found)


@pytest.mark.parametrize("shape", SHAPES)
def test_eight_times_the_text_costs_far_less_than_eight_times_eight(shape: str) -> None:
    cited("Visitors may park.", [YARD])  # what is computed once
    assert _cost(SHAPES[shape](16_000)) <= 24 * max(_cost(SHAPES[shape](2000)), 0.002)
