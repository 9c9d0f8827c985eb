"""Whatever documents say and people ask: a brief is bounded, repeatable, verbatim, and of what was offered alone."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from appliance.gateway.history import estimated_tokens
from appliance.memory.brief_choice import MOST_OF_A_SOURCE, Need, Offer, chosen, sentences_of
from appliance.memory.briefs import rendered
from appliance.memory.quoting import MARK
from tests.memory.passages import passage

_WORD = st.sampled_from(
    ["Safe", "opens", "Bay", "seven", "nine", "not", "30", "yard", "Garten", "é", "[1]", "visitors", "clerk", "gate"]
)
_TEXT = st.lists(_WORD | st.sampled_from([". ", "\n", "  ", "? ", "> ", "- ", ".\u2028"]), max_size=60).map(" ".join)
_ANY = st.text(max_size=200)
_BODIES = st.lists(_TEXT | _ANY, max_size=5)
_NEEDS = st.lists(st.builds(Need, _TEXT, st.integers(1, 9)), max_size=4)


@given(_BODIES, _NEEDS, st.integers(128, 600), st.integers(0, 3), st.randoms(use_true_random=False))
def test_a_brief_is_bounded_repeatable_verbatim_and_of_what_was_offered(
    bodies: list[str], needs: list[Need], tokens: int, seed: int, chance: object
) -> None:
    passages = {one.document: one for one in map(passage, bodies)}
    offered = [Offer(line, new=bool(at % 2)) for at, one in enumerate(passages.values()) for line in sentences_of(one)]
    found = chosen(offered, needs, tokens, estimated_tokens, seed)
    assert not found or estimated_tokens(rendered(found)) <= tokens
    shuffled = list(offered)
    chance.shuffle(shuffled)  # type: ignore[attr-defined]  # hypothesis' own random
    assert chosen(shuffled, needs, tokens, estimated_tokens, seed) == found
    assert {one.spot for one in found} <= {one.line.spot for one in offered}
    for one in found:
        held = passages[one.spot.source]
        assert held.body[one.spot.first : one.spot.last] == one.text
    sources = [one.spot.source for one in found]
    assert all(sources.count(one) <= MOST_OF_A_SOURCE for one in sources)


@given(_BODIES)
def test_every_line_that_a_document_says_stands_behind_the_mark(bodies: list[str]) -> None:
    found = [line for body in bodies for line in sentences_of(passage(body, body, body))]
    told = [row for row in rendered(found).splitlines() if row and not row.startswith(MARK)]
    assert len(told) == (2 if found else 0)
