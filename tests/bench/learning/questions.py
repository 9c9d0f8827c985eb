"""Questions to the manuals, made of what their authors wrote, not of what is to be found.

Three sorts. *Asked by people*: the questions of a FAQ (``people``). *In other words*: the sentence around a
cross-reference tells what the section that it leads to is about, in its author's words; the link's own text, which
repeats the section's title, is taken out, and sentences of fewer than eight other words are left out. The passage that
holds the sentence is no answer. *By title*: a section's title, as people type who know the house's words. What is
right: the passages of the section, or of the whole page where the link names no section.
"""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, get_args
from urllib.parse import unquote

from lxml import etree, html

from appliance.memory.sentences import sentences

if TYPE_CHECKING:
    from collections.abc import Iterator

    from lxml.html import HtmlElement

    from tests.bench.learning.corpus import Paper

Sort = Literal["asked by people", "in other words", "by title"]
SORTS: tuple[Sort, ...] = get_args(Sort)
_LEAST_WORDS = 8
_MOST_LINKS = 4  # more: a list of contents
_BLANK = "\ufdd0"
"""Stands where a link's text was: a character that no text holds."""
_LEADING = re.compile(r"^[\d.A-Z]{0,8}[.\s\xa0]+(?=\w)|[¶\uf0c1]")
_SECTION_WORDS = re.compile(
    r"\b(see|siehe|voir|section|abschnitt|kapitel|chapter|chapitre|sidebar|exkurs|encadré|appendix|anhang)\b",
    re.IGNORECASE,
)


@dataclass(frozen=True)
class Question:
    """``said`` is asked; a passage of ``page`` under the heading ``section`` (None: anywhere on it) answers.

    ``source`` is the sentence's beginning and end: the passage that holds it does not count.
    """

    sort: Sort
    language: str
    said: str
    page: str
    section: str | None
    source: tuple[str, str] | None

    @property
    def held_out(self) -> bool:
        """Half of all questions, by their digest: nothing was chosen in the light of these."""
        return hashlib.sha256(self.said.encode()).digest()[0] % 2 == 1


def questions(papers: list[Paper]) -> list[Question]:
    """Every question that the papers give, each once."""
    pages = {paper.path: html.parse(str(paper.path)).getroot() for paper in papers}
    found: dict[str, Question] = {}
    for paper in papers:
        root = pages[paper.path]
        for made in (*_titles(paper, root), *_words(paper, root, pages)):
            found.setdefault(f"{made.language} {made.said}", made)
    return list(found.values())


def _titles(paper: Paper, root: HtmlElement) -> Iterator[Question]:
    for heading in root.iter("h2", "h3", "h4"):
        title = " ".join(heading.text_content().split())
        bare = bare_of(title)
        if len(bare.split()) >= 3:
            yield Question("by title", paper.language, bare, str(paper.path), title, None)


def _words(paper: Paper, root: HtmlElement, pages: dict[object, HtmlElement]) -> Iterator[Question]:
    for block in root.iter("p"):
        links = list(block.iter("a"))
        for link in links if len(links) <= _MOST_LINKS else ():
            target, _, mark = unquote(link.get("href") or "").partition("#")
            page = (paper.path.parent / target).resolve() if target else paper.path
            if page not in pages or (page == paper.path and not mark):
                continue
            section = _section(pages[page], mark)
            for text in _around(block, link):
                yield Question("in other words", paper.language, text[0], str(page), section, text[1])


def _section(root: HtmlElement, mark: str) -> str | None:
    """The heading that a link to ``mark`` leads to; None for the page as a whole."""
    at = next(iter(root.xpath("//*[@id=$mark or @name=$mark]", mark=mark)), None) if mark else None
    if at is None:
        return None
    inside = list(at.iter("h1", "h2", "h3", "h4"))
    above = at.xpath("(ancestor-or-self::h1|ancestor-or-self::h2|ancestor-or-self::h3|ancestor-or-self::h4)[last()]")
    before = at.xpath("(preceding::h1|preceding::h2|preceding::h3|preceding::h4)[last()]")
    heading = next(iter([*above, *inside[:1], *before]), None)
    return " ".join(heading.text_content().split()) if heading is not None else None


def _around(block: HtmlElement, link: HtmlElement) -> Iterator[tuple[str, tuple[str, str]]]:
    parts: list[str] = []
    inside = 0
    for event, element in etree.iterwalk(block, events=("start", "end")):
        inside += (element is link) * (1 if event == "start" else -1)
        if element is link and event == "end":
            parts.append(_BLANK)
        text = element.text if event == "start" else element.tail
        if text and not inside and not (event == "end" and element is block):
            parts.append(text)
    whole = " ".join("".join(parts).split())
    for start, end in sentences(whole):
        sentence = whole[start:end]
        if _BLANK in sentence:
            said = " ".join(_SECTION_WORDS.sub(" ", sentence.replace(_BLANK, " ")).split())
            if len(re.findall(r"\w{2,}", said)) >= _LEAST_WORDS:
                kept = max(sentence.split(_BLANK), key=len).strip()
                yield said, (kept[:60], kept[-60:])


def bare_of(title: str) -> str:
    """A title without its number."""
    return " ".join(_LEADING.sub("", title).split())
