"""What stands in the place of an answer that is too unsure: the site's own sentences, in the question's language. Pure.

No model writes them. Asking back says what is missing as far as that can be known from outside: a question of few
words, passages of several documents, passages that say nothing of it in so many words.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

from appliance.memory.language import language
from appliance.memory.wording import terms

if TYPE_CHECKING:
    from collections.abc import Mapping

Missing = Literal["words", "which_document", "other_words", "narrower"]
_FEW = 4
"""A question of fewer content words hardly says what it is about."""

ABSTAINS = {
    "en": "My answer to this is too likely to be wrong. I leave it at that rather than mislead you.",
    "fr": "Ma réponse à cela risque trop d'être fausse. Mieux vaut m'abstenir que vous égarer.",
    "de": "Meine Antwort darauf ist zu wahrscheinlich falsch. Ich belasse es dabei, statt Sie irrezuführen.",
}
ASKS = {
    "en": "I am too unsure of my answer to give it. Could you narrow the question?",
    "fr": "Je suis trop incertain de ma réponse pour la donner. Pourriez-vous préciser la question ?",
    "de": "Ich bin mir meiner Antwort zu unsicher, um sie zu geben. Können Sie die Frage eingrenzen?",
}
MISSING: dict[Missing, dict[str, str]] = {
    "words": {
        "en": "It is short: please say what it is about, for whom, and as of when.",
        "fr": "Elle est courte : dites de quoi il s'agit, pour qui et à quelle date.",
        "de": "Sie ist kurz: Bitte sagen Sie, worum es geht, für wen und zu welchem Zeitpunkt.",
    },
    "which_document": {
        "en": "Passages of {count} documents come close to it: please name the document, the year or the place.",
        "fr": "Des passages de {count} documents s'en approchent : nommez le document, l'année ou le lieu en question.",
        "de": "Stellen aus {count} Dokumenten kommen ihr nahe: Bitte nennen Sie das Dokument, das Jahr oder den Ort.",
    },
    "other_words": {
        "en": "What was found does not say it in so many words: please call the thing as the document may call it.",
        "fr": "Ce qui a été trouvé ne le dit pas expressément : nommez la chose comme le document pourrait la nommer.",
        "de": "Was gefunden wurde, sagt es nicht ausdrücklich: Bitte nennen Sie die Sache, wie das Dokument es täte.",
    },
    "narrower": {
        "en": "Please ask one thing at a time, and name what it is about, for whom, and as of when.",
        "fr": "Posez une question à la fois, et précisez de quoi il s'agit, pour qui et à quelle date.",
        "de": "Bitte fragen Sie eines nach dem anderen: worum geht es, für wen und zu welchem Zeitpunkt?",
    },
}


def sentence(question: str, default: str, *, asks: bool, rested: Mapping[str, Any] | None = None) -> str:
    """Abstain, or ask back, in the question's language where it can be told, else in ``default``."""
    found = language(question)
    spoken = found if found in ABSTAINS else default
    if not asks:
        return ABSTAINS[spoken]
    what = missing(question, rested)
    return f"{ASKS[spoken]} {MISSING[what][spoken].format(count=_documents(rested))}"


def missing(question: str, rested: Mapping[str, Any] | None = None) -> Missing:
    """What the question lacks, as far as is known."""
    if len(terms(question)) < _FEW:
        return "words"
    if _documents(rested) > 1:
        return "which_document"
    claims = (rested or {}).get("claims") or ()
    if _documents(rested) and not any(claim["citations"] for claim in claims):
        return "other_words"
    return "narrower"


def _documents(rested: Mapping[str, Any] | None) -> int:
    return len({one["document"] for one in (rested or {}).get("passages") or ()})
