from __future__ import annotations

from appliance.gateway.history import asked_after, estimated_prompt, fitted, title_of, without_oldest


def turn(n: int, answer: str = "an answer") -> list[dict[str, str]]:
    return [{"role": "user", "content": f"question {n}"}, {"role": "assistant", "content": answer}]


def test_the_oldest_turns_are_dropped_and_system_and_question_stay() -> None:
    chat = [{"role": "system", "content": "be brief"}, *turn(1), *turn(2), {"role": "user", "content": "now"}]
    kept = fitted(chat, estimated_prompt(chat) - 1)
    assert [m["content"] for m in kept] == ["be brief", "question 2", "an answer", "now"]


def test_a_question_that_alone_is_too_long_is_sent_for_the_engine_to_judge() -> None:
    chat = [*turn(1), {"role": "user", "content": "x" * 10_000}]
    assert fitted(chat, 10) == chat[-1:]
    assert without_oldest(chat[-1:]) is None


def test_what_fits_is_left_alone() -> None:
    chat = [*turn(1), {"role": "user", "content": "now"}]
    assert fitted(chat, 4096) == chat


def test_after_dropping_the_chat_still_begins_with_a_question() -> None:
    chat = [*turn(1), *turn(2), {"role": "user", "content": "now"}]
    shorter = without_oldest(chat)
    assert shorter is not None
    assert [m["content"] for m in shorter] == ["question 2", "an answer", "now"]


def test_a_question_without_an_answer_is_left_out_so_that_roles_alternate() -> None:
    chat = asked_after([*turn(1), *turn(2, ""), *turn(3)], "now")
    assert [m["role"] for m in chat] == ["user", "assistant", "user", "assistant", "user"]
    assert "question 2" not in {m["content"] for m in chat}


def test_a_title_is_the_trimmed_first_question() -> None:
    assert title_of("  what\nis   this? ") == "what is this?"
    long = title_of("word " * 40)
    assert long.endswith("word…")
    assert len(long) <= 61
    assert title_of("x" * 200) == "x" * 60 + "…"
