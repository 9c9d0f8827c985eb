"""How many untitled names are found, and how much else: on sentences with names made of trees, and without any."""

from __future__ import annotations

import itertools

import pytest

from appliance.learning.exchange.redactor import Redactor
from appliance.learning.exchange.untitled import doubtful

TREES = ("Quercus", "Larix", "Fagus", "Betula", "Ulmus", "Tilia", "Salix", "Acer", "Alnus", "Picea")
WITH_NAMES = (
    "When does our colleague {a} {b} come back?",
    "May the manager {a} sign for the fund?",
    "Does the room of {a} {b} have a window?",
    "Is it true that {a} {b} left in May?",
    "Quand la cheffe {a} revient-elle ?",
    "Le bureau de {a} {b} est-il ouvert ?",
    "Hat die Kollegin {a} {b} heute frei?",
    "Wann ist das Zimmer von {a} {b} frei?",
    "Does {a} work on Fridays?",
    "{a} {b} asked for leave; may she have it?",
)
WITHOUT = (
    "Which form is for leave, and who signs it?",
    "How is the archive of the mail kept, and for how long?",
    "What does the option for verbose output do?",
    "Does the Debian Policy Manual say where a daemon keeps its state?",
    "Which signal ends the process, and which one stops it?",
    "May I park in the yard on Sundays?",
    "Quelle est la durée du congé, et qui le signe ?",
    "Le formulaire de demande est-il en ligne ?",
    "Wer unterschreibt den Antrag auf Urlaub?",
    "Wie lange wird die Post im Archiv aufbewahrt?",
    "Wo steht das Fahrrad in der Nacht?",
    "Welche Option gibt die Version des Programms aus?",
)


def holds(text: str) -> bool:
    return any(one.what == "name" for one in Redactor().findings(text))


def test_eight_of_ten_sentences_with_a_name_are_held_and_eleven_of_twelve_without_one_pass() -> None:
    """The figures that the guide states; an English name of a manual is the false one."""
    pairs = list(itertools.permutations(TREES, 2))
    named = [line.format(a=a, b=b) for line in WITH_NAMES for a, b in pairs]
    assert sum(map(holds, named)) / len(named) == 0.8
    assert [line for line in WITHOUT if holds(line)] == [WITHOUT[3]]


@pytest.mark.parametrize("text", [WITH_NAMES[8], WITH_NAMES[9]])
def test_what_is_missed_is_known(text: str) -> None:
    assert not holds(text.format(a="Quercus", b="Larix"))


def test_a_glossarys_term_is_no_name_and_excuses_neither_its_words_nor_an_account() -> None:
    """Whoever writes a glossary lets no person pass by it."""
    knows = Redactor(accounts=["Quercus"], terms=["debian  policy manual", "Larix Fagus"])
    assert knows.findings(WITHOUT[3]) == ()
    assert knows.findings("Is the Larix Fagus open?") == ()
    for text in ("Does the Debian Policy say so?", "Is it true that Larix Betula left?", "Ask our colleague Fagus."):
        assert [one.what for one in knows.findings(text)] == ["name"], text
    assert "account" in {
        one.what for one in Redactor(accounts=["Larix"], terms=["Larix Fagus"]).findings("A Larix Fagus?")
    }


@pytest.mark.parametrize("name", ["Łarix Šalix", "Ørnus Ķarex", "Acer-Larix O'Ulmus"])
def test_names_with_any_latin_letter_are_names(name: str) -> None:
    assert holds(f"Is it true that {name} left?")
    assert holds(f"Does our colleague {name.split(maxsplit=1)[0]} know?")


@pytest.mark.parametrize(
    ("text", "language", "left"),
    [
        (WITH_NAMES[8], "en", ("Does Quercus", "Fridays")),
        (WITH_NAMES[9], "en", ("Quercus Larix",)),
        ("Which form? Larix knows. We ask Larix.", "en", ("Larix",)),
        ("Wo steht das Fahrrad? Quercus Larix fragt.", "de", ("Quercus Larix",)),
        (WITHOUT[0], "en", ()),
        (WITHOUT[7], "fr", ()),
    ],
)
def test_what_is_let_pass_and_may_be_a_name_is_marked_for_whoever_reads(
    text: str, language: str, left: tuple[str, ...]
) -> None:
    assert doubtful(text.format(a="Quercus", b="Larix"), language) == left
