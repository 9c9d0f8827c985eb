"""A pack as what the model is told: one text, in the pack's language. Pure; equal packs give equal words."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from appliance.packs.content import Pack

_HEADINGS: Mapping[str, tuple[str, str, str, str]] = {
    "en": ("Boundaries, which hold whatever is asked:", "Words to use:", "Question:", "Answer:"),
    "fr": ("Limites, valables quelle que soit la demande :", "Mots à employer :", "Question :", "Réponse :"),
    "de": ("Grenzen, die immer gelten, was auch gefragt wird:", "Diese Wörter gelten:", "Frage:", "Antwort:"),
}


def instructions_of(pack: Pack) -> str:
    """The pack's text for the instructions' place."""
    return "\n\n".join(_parts(pack))


def _parts(pack: Pack) -> Iterator[str]:
    boundaries, words, question, answer = _HEADINGS[pack.language]
    yield pack.persona
    yield pack.tone
    if pack.boundaries:
        yield "\n".join([boundaries, *(f"- {one.rule}" for one in pack.boundaries)])
    if pack.glossary:
        lines = (f"- {one.term} → {one.use}{f' ({one.note})' if one.note else ''}" for one in pack.glossary)
        yield "\n".join([words, *lines])
    for one in pack.examples:
        yield f"{question} {one.question}\n{answer} {one.answer}"
