"""What looks personal or secret in a text is found, whatever it is written like; ordinary questions pass."""

from __future__ import annotations

import pytest

from appliance.learning.exchange.redactor import Redactor

REDACTOR = Redactor(
    hosts=["assistant.ministry.example", "assistant"], accounts=["clerk", "o.fficer", "Ana"], groups=["guards"]
)


def found(text: str) -> set[str]:
    return {one.what for one in REDACTOR.findings(text)}


@pytest.mark.parametrize(
    ("text", "what"),
    [
        ("Write to clerk@ministry.example today", "email"),
        ("Call +41 31 123 45 67 before noon", "number"),
        ("Call 0311234567", "number"),
        ("Call (031) 123-45-67", "number"),
        ("Pay to CH93 0076 2011 6238 5295 7 by May", "iban"),
        ("Pay to DE89370400440532013000", "iban"),
        ("pay to gb82-west-1234-5698-7654-32 now", "iban"),
        ("Is 10.88.1.7 up?", "address"),
        ("Is fe80::1ff:fe23:4567:890a up?", "address"),
        ("Is 2001:db8::7 up?", "address"),
        ("Look at https://wiki/page", "link"),
        ("Look at www.example", "link"),
        ("Does Assistant answer?", "host"),
        ("What may CLERK see?", "account"),
        ("What may o.fficer see?", "account"),
        ("What did Ana say?", "account"),
        ("What may the guards see?", "group"),
        ("The key is sk-abcdefghij0123456789", "secret"),
        ("ghp_16C7e42F292c6912E7710c838347Ae178B4a", "secret"),
        ("AKIAIOSFODNN7EXAMPLE", "secret"),
        ("eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0NTY3ODkwIn0", "secret"),
        ("password: hunter2", "secret"),
        ("Mot de passe = azerty", "secret"),
        ("-----BEGIN PRIVATE KEY-----", "secret"),
        ("d41d8cd98f00b204e9800998ecf8427e", "secret"),
        ("Zx81Kq07Lm92Pt45Rw63Yv", "secret"),
        ("a\x1b[31mb", "unseen"),
        ("a\u202eb", "unseen"),
        ("a\u200bb", "unseen"),
        ("Call \uff10\uff13\uff11\uff11\uff12\uff13\uff14\uff15\uff16\uff17", "number"),
    ],
)
def test_what_may_not_leave_is_found(text: str, what: str) -> None:
    assert what in found(text)


@pytest.mark.parametrize(
    "text",
    [
        "How long is the notice period for a flat in 2026?",
        "What does article 12, paragraph 3 of the law of 01.01.2024 say?",
        "Combien de jours de congé en 2025-12-31 ?",
        "Wie hoch ist die Frist für Einsprachen nach Artikel 335c?",
        "Is a fee of 1,250.50 francs due at 14:30?",
        "What is the difference between guardsmen and clerkship?",
        "Donaudampfschifffahrtsgesellschaftskapitän",
        "Line one\nline two\tand a tab",
        "An emoji \N{GRINNING FACE} and a ratio 3:4",
    ],
)
def test_ordinary_questions_pass(text: str) -> None:
    assert REDACTOR.findings(text) == ()


def test_an_iban_without_its_check_digits_is_a_long_number_and_no_iban() -> None:
    assert found("Pay to CH94 0076 2011 6238 5295 7") == {"number"}


def test_where_a_finding_stands_is_told_in_the_order_of_the_text() -> None:
    text = "Mail clerk@ministry.example or 10.88.1.7"
    places = [text[one.start : one.end] for one in REDACTOR.findings(text)]
    assert places[0] == "clerk"
    assert places[-1] == "10.88.1.7"


def test_a_text_of_the_greatest_length_costs_no_more_than_its_length() -> None:
    for evil in ("1 " * 2000, "a@" * 2000, "AA00 " * 800, ":" * 4000, "x1" * 2000, "eyJ" * 1300):
        REDACTOR.findings(evil)  # the suite's limit on a test's time is what would fail
