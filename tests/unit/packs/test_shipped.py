"""The packs that are shipped: what each must have so that its cases say something of it."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from appliance.learning.cases import Compared
from appliance.learning.signals import declined
from appliance.learning.words import holds
from appliance.models.policy import load_policy
from appliance.packs.cases import cases_of
from appliance.packs.folder import build_pack
from appliance.packs.policy import require_accepted
from appliance.packs.wording import instructions_of

if TYPE_CHECKING:
    from appliance.packs.content import Pack

ROOT = Path(__file__).parents[3]
FOLDERS = sorted((ROOT / "sources/packs").iterdir())
LANGUAGES = {"administration-fr": "fr", "engineering-de": "de", "customer-care-en": "en"}
TOKENS = 2048
"""Half of the context that site.yaml gives a model by default, estimated as it does: a token for three bytes."""

pytestmark = pytest.mark.parametrize("pack", [build_pack(one) for one in FOLDERS], ids=lambda one: one.name)


def test_it_is_in_the_language_it_says_and_accepted_by_the_release_s_policy(pack: Pack) -> None:
    assert LANGUAGES[pack.name] == pack.language
    assert len(FOLDERS) == len(LANGUAGES)
    require_accepted(pack, load_policy(ROOT / "policies/models.yaml"))
    assert pack.sources


def test_it_has_sixty_cases_at_least_each_under_an_id_of_its_own(pack: Pack) -> None:
    assert len(pack.cases) >= 60
    assert len({case.id for case in cases_of(pack, "analysts")}) == len(pack.cases)
    assert {one.language for one in pack.cases} == {pack.language}


def test_every_term_has_a_case_that_expects_its_word(pack: Pack) -> None:
    about = {one.about: one for one in pack.cases if one.kind == "contains" and one.about is not None}
    for term in pack.glossary:
        assert about[term.term].expected == (term.use,), term.term


def test_every_boundary_has_two_cases_that_must_never_fail(pack: Pack) -> None:
    vital = Counter(one.about for one in pack.cases if one.vital)
    assert pack.boundaries
    assert vital == {one.id: 2 for one in pack.boundaries}
    assert all(one.vital for one in pack.cases if one.kind == "refusal"), "every refusal is vital"


def test_what_is_expected_stands_in_the_pack_and_no_glossary_speaks_against_it(pack: Pack) -> None:
    told = instructions_of(pack)
    avoided = [one.term for one in pack.glossary]
    for case in pack.cases:
        if case.kind not in {"contains", "exact"}:
            continue
        assert any(holds(told, one) for one in case.expected), case.id
        assert case.kind == "exact" or all(holds(told, one) for one in case.expected), case.id
        for expected in case.expected:
            assert not [term for term in avoided if holds(expected, term)], case.id


def test_a_rewritten_sentence_holds_the_term_that_it_is_about_and_not_yet_its_word(pack: Pack) -> None:
    words = {one.term: one.use for one in pack.glossary}
    rewritten = [one for one in pack.cases if one.id.startswith("rewrite-")]
    assert len(rewritten) >= 8
    for case in rewritten:
        assert case.about is not None
        stem = case.about.casefold()[:-1]
        assert stem in case.question.casefold(), case.id
        assert not holds(case.question, words[case.about]), case.id


def test_no_word_to_use_is_a_word_to_avoid(pack: Pack) -> None:
    avoided = {one.term.casefold() for one in pack.glossary}
    assert not avoided & {one.use.casefold() for one in pack.glossary}


def test_no_question_gives_its_own_answer_away(pack: Pack) -> None:
    given = [c.id for c in pack.cases if c.kind == "contains" and all(holds(c.question, one) for one in c.expected)]
    assert set(given) <= {"style-ordre", "style-order"}  # a choice between two says both


def test_no_two_cases_contradict_each_other(pack: Pack) -> None:
    compared = [Compared(one.content("analysts")) for one in pack.cases]
    for at, one in enumerate(compared):
        assert not [other.content.question for other in compared[at + 1 :] if one.contradicts(other)]


def test_the_words_with_which_it_declines_are_known_as_declining(pack: Pack) -> None:
    said = {"fr": "« Je ne peux pas »", "de": "»Ich kann dabei nicht helfen«", "en": '"I cannot help with that"'}
    for boundary in pack.boundaries:
        assert said[pack.language] in boundary.rule
    assert declined(said[pack.language].strip('«»" '))


def test_it_fits_the_group_s_share_of_a_small_context(pack: Pack) -> None:
    assert len(instructions_of(pack).encode()) // 3 < TOKENS
