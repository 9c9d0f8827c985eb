"""Questions with known answers that a small model gets right and wrong: one fact among others, said again, to be ended.

What makes one hard is how many facts stand beside it and how alike their names are. A model of 270 million parameters
that is asked in words fails nearly all of them, and what is nearly always wrong has a calibration that says nothing; as
texts to be gone on with it gets about as many right as wrong. Names and codes are drawn, so that no model has read them
before; the seed is stated, so that anybody draws the same.
"""

from __future__ import annotations

import random
from dataclasses import dataclass

from appliance.learning.cases import Content, Language

SEED = 20_261_126
_BESIDE = (2, 3, 5)
_PLACES = (
    *("Alder", "Birch", "Cedar", "Dogwood", "Elder", "Fir", "Ginkgo", "Hazel", "Ivy", "Juniper"),
    *("Larch", "Maple", "Nutmeg", "Oak", "Pine", "Quince", "Rowan", "Spruce", "Thuja", "Willow"),
)
_ALIKE = tuple(f"{letter} {number}" for letter in "BDP" for number in (17, 71, 47, 74, 14, 41))
_SAID: dict[Language, str] = {
    "en": "The code of hall {place} is {value}.",
    "fr": "Le code de la salle {place} est {value}.",
    "de": "Der Code des Saals {place} ist {value}.",
}


@dataclass(frozen=True)
class Asked:
    """``said`` is the prompt, ``content`` the case that scores how it is gone on with; ``sort``: how hard."""

    name: str
    said: str
    content: Content
    sort: str


def questions(count: int, seed: int = SEED) -> list[Asked]:
    """So many of them, of all languages and difficulties alike."""
    drawn = random.Random(seed)
    return [_asked(drawn, number) for number in range(count)]


def _asked(drawn: random.Random, number: int) -> Asked:
    language = tuple(_SAID)[number % len(_SAID)]
    beside = _BESIDE[number // len(_SAID) % len(_BESIDE)]
    alike = number // (len(_SAID) * len(_BESIDE)) % 2 == 1
    fact = _SAID[language]
    places = drawn.sample(_ALIKE if alike else _PLACES, beside + 1)
    values = [str(one) for one in drawn.sample(range(1000, 9999), beside + 1)]
    wanted = drawn.randrange(beside)  # the last one said is the easiest to repeat
    facts = " ".join(fact.format(place=p, value=v) for p, v in zip(places, values, strict=True))
    asked = fact.partition(" {value}")[0].format(place=places[wanted])
    content = Content(question=asked, kind="contains", expected=(values[wanted],), groups=("bench",), language=language)
    return Asked(f"q{number}", f"{facts} {asked}", content, f"{beside} {'alike' if alike else 'named'}")
