"""What a sentence states, so far as its words tell: its content words, its figures, whether it denies. Pure.

Words are compared by their first letters, in whatever language: cutting them there finds nearly what stemmers find
(McNamee, Mayfield: Character N-Gram Tokenization for European Language Text Retrieval, Information Retrieval 7, 2004).
"""

from __future__ import annotations

import re
import unicodedata

STEM = 6
"""Letters of a word that count."""
_WORD = re.compile(r"[^\W\d_]+")
_UNIT = re.compile(r"[ \u00a0\u202f-]?([^\W\d_]+)")
_FIGURE = re.compile(r"(?:(?<![\w)])[-\u2212])?\d(?:[\d.,:/'\u2019\u00a0\u202f-]*\d)?")
_NOT = re.compile(r"n't\b")
_THOUSANDS = re.compile(r"(?<=\d)[.,'\u2019\u00a0\u202f](?=\d{3}(?!\d))")
_DENY = (
    "not no never none nothing nobody neither nor without cannot hardly forbidden forbids forbid prohibited prohibits "
    "prohibit banned unless "
    "nicht kein keine keinen keinem keiner keines nie niemals nichts niemand weder ohne keinesfalls keineswegs kaum "
    "verboten untersagt verbietet untersagen "
    "ne n pas jamais aucun aucune rien personne sans ni nullement guère interdit interdite interdits interdites "
    "interdire défendu défendue"
)
_EMPTY_WORDS = (
    "a about above according after all also am an and any are as at be because been before being below between both "
    "but by can could did do does doing done during each either else etc every few for from further had has have "
    "having he her here hers him his how however i if in into is it its itself just let may me might more most much "
    "must my of off on once only or other our out over own please say says shall she should so some such than that "
    "the their them then there therefore these they this those though through thus to too under until up upon us very "
    "was we were what when where whether which while who whom whose why will with would yes you your "
    "aber alle allem allen aller alles als also am an auch auf aus bei beim bin bis bist bitte da dabei damit danach "
    "dann das dass dein deine dem den denn der deren des dessen die dies diese diesem diesen dieser dieses doch dort "
    "du durch ein eine einem einen einer eines er es etwa euch euer für gegen gibt hat haben hatte hier hin ich ihm "
    "ihn ihnen ihr ihre ihrem ihren ihrer im in indem ins ist ja jede jedem jeden jeder jedes jedoch kann können "
    "könnte man mehr mein meine mich mir mit muss müssen nach noch nun nur ob oder sehr sein seine seinem seinen "
    "seiner seit sich sie sind so soll sollen sollte sondern über um und uns unser unsere unter vom von vor war waren "
    "warum was wegen weil welche welchem welchen welcher welches wenn wer werden wie wieder wir wird wo wurde wurden "
    "während zu zum zur zwischen "
    "afin ai ainsi alors après au aussi autre autres aux avant avec avoir c car ce cela ces cet cette ceux chaque "
    "ci comme comment d dans de depuis des deux doit doivent donc du elle elles en encore entre est et eu été être "
    "faire fait font il ils j je l la laquelle le lequel les leur leurs lors lorsque lui m ma mais me même mes moi "
    "moins mon n ne nos notre nous on ont or ou où oui par parce pendant peu peut peuvent plus plusieurs pour "
    "pourquoi qu quand que quel quelle quelles quels qui quoi s sa sans se selon sera si son sont sous sur t ta te "
    "tes toi ton tous tout toute toutes très tu un une vers vos votre vous y"
)
_DENYING = frozenset(_DENY.split())
_EMPTY = frozenset(_EMPTY_WORDS.split())


def folded(text: str) -> str:
    """In one form: compatibility characters and letters' sizes do not matter, nor which apostrophe."""
    return unicodedata.normalize("NFKC", text).replace("\u2019", "'").casefold()


def terms(text: str) -> frozenset[str]:
    """Content words of ``text``, cut to what counts of them."""
    return frozenset(w[:STEM] for w in _WORD.findall(folded(text)) if w not in _EMPTY and w not in _DENYING)


def figures(text: str) -> frozenset[str]:
    """Numbers, dates and times of ``text``, without what groups thousands; a decimal comma is a point."""
    return frozenset(figure for figure, _ in measures(text))


def measures(text: str) -> frozenset[tuple[str, str]]:
    """Each figure of ``text`` with the content word that follows it at once, cut as ``terms`` are; or with none."""
    plain = folded(text)
    found = []
    for one in _FIGURE.finditer(plain):
        unit = _UNIT.match(plain, one.end())
        word = unit[1] if unit is not None else ""
        figure = _THOUSANDS.sub("", one[0]).replace(",", ".").replace("\u2212", "-")
        found.append((figure, "" if word in _EMPTY or word in _DENYING else word[:STEM]))
    return frozenset(found)


def measured(wanted: frozenset[tuple[str, str]], held: frozenset[tuple[str, str]]) -> bool:
    """Whether each figure of ``wanted`` is in ``held``, of the same thing where both say of what."""
    return all(any(figure == other and _alike(unit, of) for other, of in held) for figure, unit in wanted)


def _alike(one: str, other: str) -> bool:
    """Of one word, or where one says nothing; ``min`` is ``minute``."""
    return one.startswith(other) or other.startswith(one)


def denies(text: str) -> bool:
    """Whether ``text`` holds a word that denies or forbids."""
    plain = folded(text)
    return _NOT.search(plain) is not None or not _DENYING.isdisjoint(_WORD.findall(plain))
