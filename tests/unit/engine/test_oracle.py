from __future__ import annotations

from tests.engine import oracle, questions
from tests.engine.oracle import Answer, Difference, Place, Reference, Step

STEPS = (
    Step(5, b" Paris", -0.1, 3.0),
    Step(6, "é".encode()[:1], -0.1, 2.0),
    Step(7, "é".encode()[1:], -0.1, 2.0),
    Step(8, b"\xc3", -0.1, 1.0),
)
REFERENCE = Reference("Q", (1, 2), STEPS, "length")


def test_the_same_words_in_another_number_of_tokens_or_for_another_reason_are_not_the_same() -> None:
    assert oracle.same(REFERENCE, Answer(" Parisé", 4, "length"))
    assert not oracle.same(REFERENCE, Answer(" Parisé", 3, "length"))
    assert not oracle.same(REFERENCE, Answer(" Parisé", 4, "stop"))
    assert not oracle.same(REFERENCE, Answer(" Paris", 4, "length"))


def test_only_a_difference_between_close_tokens_is_no_fault() -> None:
    close, far = (Difference(Place("Q", "a", margin), "b") for margin in (oracle.MARGIN, oracle.MARGIN + 0.01))
    assert oracle.faults([close, far]) == [far]
    assert oracle.agreement(400, [close, far]) == 0.995


def test_the_questions_are_those_of_their_structure_two_hundred_and_all_different() -> None:
    committed = questions.questions()
    assert committed == questions.made()
    assert len({question.text for question in committed}) == 200
    counted = {code: sum(q.language == code for q in committed) for code in ("en", "fr", "de")}
    assert sorted(counted.values()) == [66, 67, 67]


def test_the_oracle_runs_with_an_empty_context_and_the_engine_s_split() -> None:
    flags = " ".join(oracle.flags(threads=2, split=128))
    for part in ("--swa-full", "--ctx-checkpoints 0", "--cache-ram 0", "--parallel 1", "--ubatch-size 128"):
        assert part in flags
