"""Questions with known answers that a small model can get right and wrong: a fact among others, by three languages.

What makes one hard is how many facts stand beside it and how alike they are. Names and numbers are drawn, so that no
model has read them before; the seed is stated, so that anybody draws the same.
"""

from __future__ import annotations

import random
from dataclasses import dataclass

from appliance.learning.cases import Content, Language

SEED = 20_261_126
_BESIDE = (1, 2, 4, 7)
_PLACES = (
    *("Alder", "Birch", "Cedar", "Dogwood", "Elder", "Fir", "Ginkgo", "Hazel", "Ivy", "Juniper"),
    *("Larch", "Maple", "Nutmeg", "Oak", "Pine", "Quince", "Rowan", "Spruce", "Thuja", "Willow"),
)
_SAID: dict[Language, tuple[str, str]] = {
    "en": ("The code of hall {place} is {value}.", "What is the code of hall {place}? Answer with the code."),
    "fr": ("Le code de la salle {place} est {value}.", "Quel est le code de la salle {place} ? Répondez par le code."),
    "de": (
        "Der Code des Saals {place} ist {value}.",
        "Wie lautet der Code des Saals {place}? Antworten Sie mit dem Code.",
    ),
}


@dataclass(frozen=True)
class Asked:
    """``said`` is the whole prompt, ``content`` the case that scores its answer; ``beside`` facts make it hard."""

    name: str
    said: str
    content: Content
    beside: int


def questions(count: int, seed: int = SEED) -> list[Asked]:
    """So many of them, of all languages and difficulties alike."""
    drawn = random.Random(seed)
    return [_asked(drawn, number) for number in range(count)]


def _asked(drawn: random.Random, number: int) -> Asked:
    language = tuple(_SAID)[number % len(_SAID)]
    beside = _BESIDE[number // len(_SAID) % len(_BESIDE)]
    fact, question = _SAID[language]
    places = drawn.sample(_PLACES, beside + 1)
    values = [str(one) for one in drawn.sample(range(1000, 9999), beside + 1)]
    wanted = drawn.randrange(beside + 1)
    facts = " ".join(fact.format(place=p, value=v) for p, v in zip(places, values, strict=True))
    asked = question.format(place=places[wanted])
    content = Content(question=asked, kind="contains", expected=(values[wanted],), groups=("bench",), language=language)
    return Asked(f"q{number}", f"{facts}\n\n{asked}", content, beside)
