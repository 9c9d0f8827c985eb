"""Questions as people ask them: those of Debian's FAQ in three languages, each with its answer as a page of its own.

A section's title is what somebody asked, and the text below it answers. The page holds the text alone: not the title,
nor the sections below it, nor a word of the question in its name. So an answer is found by what it says.
"""

from __future__ import annotations

import copy
from dataclasses import dataclass
from typing import TYPE_CHECKING

from lxml import html

from tests.bench.learning.corpus import LANGUAGES, Paper
from tests.bench.learning.questions import Question, bare_of

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from lxml.html import HtmlElement

_FAQ = "usr/share/doc/debian/FAQ"
_LEAST_WORDS = 12
"""Of an answer: fewer send the reader elsewhere."""


@dataclass(frozen=True)
class Asked:
    """A page of answers, and the question that it answers; None where its title was no question."""

    paper: Paper
    question: Question | None


def asked(tree: Path, into: Path) -> list[Asked]:
    """Every section of the FAQ below ``tree``, written into ``into`` without its title."""
    english = {bare for _, bare, _ in _sections(tree, "en")}
    found = []
    for language in LANGUAGES:
        for number, (_, bare, body) in enumerate(_sections(tree, language)):
            page = into / language / f"{number:03}.html"
            page.parent.mkdir(parents=True, exist_ok=True)
            page.write_text(f"<html><body>{body}</body></html>", encoding="utf-8")
            translated = language == "en" or bare not in english
            said = bare.endswith("?") and translated and len(body.split()) >= _LEAST_WORDS
            question = Question("asked by people", language, bare, str(page), None, None) if said else None
            found.append(Asked(Paper("faq", language, page), question))
    return found


def _sections(tree: Path, language: str) -> Iterator[tuple[Path, str, str]]:
    folder = tree / _FAQ / ("" if language == "en" else language)
    for path in sorted(folder.glob(f"*.{language}.html")):
        for section in html.parse(str(path)).getroot().xpath("//div[@class='section']"):
            title = next(iter(section.xpath("./div[@class='titlepage']//*[self::h2 or self::h3 or self::h4]")), None)
            if title is not None:
                yield path, bare_of(" ".join(title.text_content().split())), _own(section)


def _own(section: HtmlElement) -> str:
    """The section's markup without its title and the sections below it."""
    left = copy.deepcopy(section)
    for part in left.xpath("./div[@class='titlepage' or @class='section']"):
        part.drop_tree()
    return str(html.tostring(left, encoding="unicode", with_tail=False))
