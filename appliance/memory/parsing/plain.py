"""Plain text, CSV and Markdown into blocks."""

from __future__ import annotations

import csv
import io
import re
from typing import TYPE_CHECKING

from markdown_it import MarkdownIt

from appliance.memory.errors import DocumentRefusedError
from appliance.memory.parsing.blocks import MAX_LEVEL, Block, Parsed
from appliance.memory.parsing.decoding import decoded

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from markdown_it.token import Token

_EMPTY_LINES = re.compile(r"\n[ \t]*(?:\n[ \t]*)+")
_SNIFFED = 64 << 10
_DELIMITERS = ",;\t|"


def text(raw: bytes) -> Parsed:
    """Paragraphs are parted by empty lines."""
    whole = decoded(raw).replace("\r\n", "\n").replace("\r", "\n").replace("\f", "\n\n")
    return Parsed(blocks=[Block(kind="paragraph", text=p) for p in _EMPTY_LINES.split(whole) if p.strip()])


def table(raw: bytes) -> Parsed:
    """CSV: a row is a line that names each value by its column. Raises ``DocumentRefusedError``."""
    whole = decoded(raw)
    try:
        dialect: type[csv.Dialect] = csv.Sniffer().sniff(whole[:_SNIFFED], _DELIMITERS)
    except csv.Error:
        dialect = csv.excel
    try:
        rows = list(csv.reader(io.StringIO(whole, newline=""), dialect))
    except csv.Error as error:
        raise DocumentRefusedError("damaged", f"the table cannot be read: {error}") from error
    if not rows:
        return Parsed()
    columns = [name.strip() for name in rows[0]]
    return Parsed(blocks=[Block(kind="row", text=line) for row in rows[1:] or rows if (line := _row(columns, row))])


def _row(columns: Sequence[str], row: Sequence[str]) -> str:
    named = [f"{name}: {value.strip()}" for name, value in zip(columns, row, strict=False) if value.strip()]
    return "; ".join([*named, *(value.strip() for value in row[len(columns) :] if value.strip())])


def markdown(raw: bytes) -> Parsed:
    """CommonMark with tables. Raw HTML is left out; of links and pictures only the words are kept."""
    parser = MarkdownIt("commonmark", {"html": False}).enable("table")
    blocks = list(_blocks(parser.parse(decoded(raw))))
    title = next((b.text for b in blocks if b.kind == "heading" and b.level == 1), None)
    return Parsed(title=title, blocks=blocks)


def _blocks(tokens: Sequence[Token]) -> Iterator[Block]:
    """A table's rows are told as they end; everything else where its words stand."""
    heading, items = 0, 0
    row: list[str] | None = None
    for token in tokens:
        heading = _heading(token, heading)
        items += (token.type == "list_item_open") - (token.type == "list_item_close")
        if token.type in {"tr_open", "tr_close"}:
            if row and any(row):
                yield Block("row", " | ".join(row))
            row = [] if token.type == "tr_open" else None
        elif token.type in {"fence", "code_block"} and token.content.strip():
            yield Block("code", token.content)
        elif token.type == "inline" and row is not None:
            row.append(_words(token.children or ()))
        elif token.type == "inline" and (words := _words(token.children or ())).strip():
            yield Block("heading" if heading else "item" if items else "paragraph", words, heading)


def _heading(token: Token, before: int) -> int:
    """The level of the heading that ``token`` stands in, 0 in none; ``before`` is that of the token before."""
    if token.type == "heading_open":
        return min(int(token.tag[1:]), MAX_LEVEL)
    return 0 if token.type == "heading_close" else before


def _words(children: Sequence[Token]) -> str:
    breaks = {"softbreak": " ", "hardbreak": "\n"}
    return "".join(
        breaks.get(c.type, c.content if c.type in {"text", "code_inline", "image"} else "") for c in children
    )
