"""Two hundred ordinary questions in English, French and German, made from structure: no person, no place, no fact.

    python -m tests.engine.questions

writes questions.txt beside this file: one question a line, its language before it. The list is committed, so that
figures of different days are about the same questions.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from pathlib import Path

FILE = Path(__file__).with_name("questions.txt")
COUNT = 200


@dataclass(frozen=True)
class Language:
    """Forms with one subject or two, and the subjects; every pairing is a grammatical question."""

    code: str
    single: tuple[str, ...]
    double: tuple[str, ...]
    subjects: tuple[str, ...]


LANGUAGES = (
    Language(
        "en",
        (
            "What is {0} for?",
            "How does {0} work?",
            "Explain {0} in two sentences.",
            "Give three facts about {0}.",
            "What should a beginner know about {0}?",
            "Write a short note on {0} for a new colleague.",
        ),
        ("What is the difference between {0} and {1}?", "When is {0} a better choice than {1}?"),
        (
            "a water pump",
            "a grain silo",
            "a railway signal",
            "an archive",
            "a power station",
            "a public library",
            "a vegetable garden",
            "a weather station",
            "a harbour crane",
        ),
    ),
    Language(
        "fr",
        (
            "À quoi sert {0} ?",
            "Comment fonctionne {0} ?",
            "Décrivez {0} en deux phrases.",
            "Citez trois faits sur {0}.",
            "Que faut-il savoir avant de choisir {0} ?",
            "Rédigez une courte note sur {0} pour un nouveau collègue.",
        ),
        ("Quelle est la différence entre {0} et {1} ?", "Dans quel cas {0} vaut-il mieux qu'{1} ?"),
        (
            "un puits",
            "un silo à grain",
            "un signal ferroviaire",
            "un service d'archives",
            "un barrage",
            "un musée",
            "un potager",
            "un baromètre",
            "un chantier naval",
        ),
    ),
    Language(
        "de",
        (
            "Wozu dient {0}?",
            "Wie funktioniert {0}?",
            "Beschreibe {0} in zwei Sätzen.",
            "Nenne drei Tatsachen über {0}.",
            "Was sollte man über {0} wissen?",
            "Schreibe eine kurze Notiz über {0} für ein neues Mitglied der Gruppe.",
        ),
        ("Was haben {0} und {1} gemeinsam?", "Wann braucht man {0} und nicht {1}?"),
        (
            "eine Wasserpumpe",
            "ein Getreidesilo",
            "eine Bahnschranke",
            "ein Archiv",
            "ein Kraftwerk",
            "eine Bibliothek",
            "ein Gemüsebeet",
            "eine Wetterstation",
            "ein Bergwerk",
        ),
    ),
)


@dataclass(frozen=True)
class Question:
    """A question and the language that it is in."""

    language: str
    text: str

    @property
    def prompt(self) -> str:
        """As a base model is asked: what follows is the answer."""
        return f"Question: {self.text}\nAnswer:"


def questions() -> tuple[Question, ...]:
    """The committed list."""
    lines = FILE.read_text(encoding="utf-8").splitlines()
    return tuple(Question(*line.split("\t", 1)) for line in lines)


def made() -> tuple[Question, ...]:
    """The list as its structure gives it: the languages in turn, so that any beginning of it has all three."""
    each = [[Question(language.code, text) for text in _texts(language)] for language in LANGUAGES]
    return tuple(itertools.islice((question for turn in zip(*each, strict=True) for question in turn), COUNT))


def _texts(language: Language) -> list[str]:
    """Every form with every subject; as there are eight forms and nine subjects, counting goes through all pairs."""
    forms, subjects = language.single + language.double, language.subjects
    pairs = range(len(forms) * len(subjects))
    return [forms[n % len(forms)].format(subjects[n % len(subjects)], subjects[(n + 4) % len(subjects)]) for n in pairs]


if __name__ == "__main__":
    FILE.write_text("".join(f"{q.language}\t{q.text}\n" for q in made()), encoding="utf-8")
