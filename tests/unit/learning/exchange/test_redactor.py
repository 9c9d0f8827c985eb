"""What looks personal or secret in a text is found, whatever it is written like; ordinary questions pass."""

from __future__ import annotations

import pytest

from appliance.learning.exchange.redactor import Redactor

REDACTOR = Redactor(
    hosts=["assistant.ministry.example", "assistant"],
    accounts=["clerk", "o.fficer", "Ana", "O'Neil", "Anne-Marie", "M\u00fcller", "\u5f20\u4f1f"],
    groups=["guards", "front-desk"],
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
        ("a \r b", "unseen"),
        ("a \x85 b", "unseen"),
        ("What may cl\u200cerk see?", "unseen"),
        ("What may cl\u200cerk see?", "account"),
        ("What may c\u2800lerk see?", "unseen"),
        ("What may cl\u00ebrk see?", "account"),
        ("What may c\u0301lerk see?", "account"),
        ("What may \u0441lerk see?", "mixed"),
        ("What may \uff43\uff4cerk see?", "account"),
        ("Did O\u2019Neil come?", "account"),
        ("Did anne marie come?", "account"),
        ("Did Mueller or MULLER come?", "account"),
        ("\u8bf7\u95ee\u5f20\u4f1f\u5728\u54ea\u91cc", "account"),
        ("What may the front desk see?", "group"),
        ("Is assistant . ministry . example up?", "host"),
        ("Write to clerk (at) ministry", "email"),
        ("Write to clerk @ ministry", "email"),
        ("Look at wiki.ministry.intern", "link"),
        ("Look at \\\\files\\share", "link"),
        ("Is 00:1b:44:11:3a:b7 up?", "address"),
        ("Call 031\u2013123\u201345\u201367", "number"),
        ("Call \u0660\u0661\u0662\u0663\u0664\u0665\u0666", "number"),
        ("Is 12.34.5678 free?", "number"),
        ("Born on 01.02.1980, when is the pension due?", "number"),
        ("What of case number 4711?", "number"),
        ("Was gilt f\u00fcr Aktenzeichen K 345/21?", "number"),
        ("Ring Durchwahl 4711", "number"),
        ("The card L01X00T47 is lost", "number"),
        ("What did Mrs. Miller want?", "name"),
        ("Was wollte Frau Dr. von Stein?", "name"),
        ("Who lives at Bahnhofstrasse 12?", "place"),
        ("Qui habite 12, rue de la Gare ?", "place"),
        ("Who lives at 12 Old Mill Road?", "place"),
        ("Y2xlcmtAbWluaXN0cnk", "secret"),
        ("What is SGVsbG9Xb3JsZEhlbGxv?", "secret"),
        ("The password is hunter2", "secret"),
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
        "Is the way 12 km long, and the ring road 3?",
        "Does ISO27001 ask for a case to be filed under article 12?",
        "Wer darf getUserNameFromTable aufrufen?",
        "\u0645\u06cc\u200c\u062e\u0648\u0627\u0647\u0645",
        "\u041a\u0430\u043a\u043e\u0439 \u0441\u0440\u043e\u043a?",
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
    for evil in (
        "1 " * 2000,
        "a@" * 2000,
        "AA00 " * 800,
        ":" * 4000,
        "x1" * 2000,
        "eyJ" * 1300,
        "a (" * 1300,
        "rue a" * 800,
        "AB1" * 1300,
        "a." * 2000,
    ):
        REDACTOR.findings(evil)  # the suite's limit on a test's time is what would fail
