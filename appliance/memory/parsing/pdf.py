"""PDF into blocks: lines as PDFium finds them, made into paragraphs; headings are those that the outline names.

PDFium is native code that reads what strangers made: it is called in a process that can reach nothing (``child``). No
form is opened, no script runs (the library is built without a JavaScript engine), nothing is drawn.
"""

from __future__ import annotations

import re
from collections import Counter
from typing import TYPE_CHECKING

import pypdfium2

from appliance.memory.errors import DocumentRefusedError
from appliance.memory.parsing.blocks import MAX_LEVEL, MAX_PAGES, Block, Parsed

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

_PASSWORD_WANTED = 4  # FPDF_ERR_PASSWORD (fpdfview.h)
_CUT_WORD = re.compile(r"(?<=\w)[\u00ad\u0002\ufffe]\r?\n?")
_SENTENCE_END = (".", "!", "?", ":", ";", "”", "»")
_ITEM = re.compile(r"[•▪◦‣·–*-]\s+|\(?(?:\d{1,3}|[a-z])[.)]\s+")  # noqa: RUF001 - signs that lists begin with
_LEADER = re.compile(r"(?:\.\s?){6,}")
"""Dots between a title and its page: a line of a table of contents, which says nothing that the title does not."""
_NUMBER = re.compile(r"[\divxlcIVXLC]{1,7}")
_SHORT = 0.75
"""A line that ends a sentence and is shorter than this share of its page's longer lines ends a paragraph."""
_RUNNING = 0.3
"""A page's first or last line that so many pages share is a running title."""

Outline = dict[int, dict[str, int]]


def pdf(raw: bytes) -> Parsed:
    """Raises ``DocumentRefusedError``."""
    try:
        document = pypdfium2.PdfDocument(raw)
    except pypdfium2.PdfiumError as error:
        if error.err_code == _PASSWORD_WANTED:
            raise DocumentRefusedError("encrypted", "the document needs a password") from error
        raise DocumentRefusedError("damaged", "the document cannot be read as a PDF") from error
    if not 0 < len(document) <= MAX_PAGES:
        raise DocumentRefusedError("too_large", f"the document has {len(document)} pages")
    outline = _outline(document)
    pages = [_lines(document, number) for number in range(len(document))]
    running = _running_titles(pages)
    blocks = [b for n, lines in enumerate(pages) for b in _page(n, [s for s in lines if s not in running], outline)]
    title = document.get_metadata_value("Title").strip() or None
    return Parsed(title=title, language=None, pages=len(document), blocks=blocks)


def _lines(document: pypdfium2.PdfDocument, number: int) -> list[str]:
    try:
        page = document[number]
        words = page.get_textpage()
        text = words.get_text_bounded()
        words.close()
        page.close()
    except pypdfium2.PdfiumError as error:
        raise DocumentRefusedError("damaged", f"page {number + 1} cannot be read") from error
    whole = _CUT_WORD.sub("", text).replace("\r\n", "\n").replace("\r", "\n")
    return [" ".join(line.split()) for line in whole.split("\n") if line.strip() and not _LEADER.search(line)]


def _outline(document: pypdfium2.PdfDocument) -> Outline:
    """Titles of the outline by page (from 0), with their levels. One that is damaged counts as none."""
    found: Outline = {}
    try:
        for mark in document.get_toc(max_depth=MAX_LEVEL):
            target = mark.get_dest()
            page = target.get_index() if target is not None else None
            if page is not None and (title := _key(mark.get_title())):
                found.setdefault(page, {})[title] = min(mark.level + 1, MAX_LEVEL)
    except (pypdfium2.PdfiumError, ValueError):
        return {}
    return found


def _key(text: str) -> str:
    return "".join(c for c in text.casefold() if c.isalnum())


def _running_titles(pages: Sequence[Sequence[str]]) -> set[str]:
    edges = Counter(line for lines in pages for line in {*lines[:1], *lines[-1:]})
    numbers = {line for lines in pages for line in (*lines[:1], *lines[-1:]) if _NUMBER.fullmatch(line)}
    often = max(3.0, _RUNNING * len(pages))
    return numbers | {line for line, count in edges.items() if count >= often}


def _page(number: int, lines: Sequence[str], outline: Outline) -> Iterator[Block]:
    titles = outline.get(number, {})
    wide = sorted(map(len, lines))[int(0.8 * len(lines))] if lines else 0
    held: list[str] = []
    skip = 0
    for at, line in enumerate(lines):
        if skip:
            skip -= 1
            continue
        title = _title_at(lines, at, titles)
        if title is not None:
            text, level, skip = title
            yield from _paragraph(held, number)
            held = []
            yield Block(kind="heading", text=text, level=level, page=number + 1)
            continue
        if held and _ITEM.match(line):
            yield from _paragraph(held, number)
            held = []
        held.append(line)
        if line.endswith(_SENTENCE_END) and len(line) < _SHORT * wide:
            yield from _paragraph(held, number)
            held = []
    yield from _paragraph(held, number)


def _title_at(lines: Sequence[str], at: int, titles: dict[str, int]) -> tuple[str, int, int] | None:
    """The heading that begins at this line, its level and how many more lines it takes: two at most."""
    for more in range(3):
        text = " ".join(lines[at : at + more + 1])
        key = _key(text)
        for title, level in titles.items():
            if key == title or (key.endswith(title) and not key.removesuffix(title).strip("0123456789")):
                return text, level, more
    return None


def _paragraph(lines: list[str], number: int) -> Iterator[Block]:
    if lines:
        kind = "item" if _ITEM.match(lines[0]) else "paragraph"
        yield Block(kind=kind, text=" ".join(lines), page=number + 1)  # type: ignore[arg-type]  # two words of Kind
