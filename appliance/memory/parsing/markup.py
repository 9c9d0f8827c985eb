"""HTML into blocks. Nothing is fetched, no script runs; what is not shown to a reader is left out.

Sources: the HTML standard's rendering section says which elements are blocks.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from lxml import etree

from appliance.memory.errors import DocumentRefusedError
from appliance.memory.parsing.blocks import Block, Kind, Parsed
from appliance.memory.parsing.decoding import decoded

if TYPE_CHECKING:
    from lxml.etree import _Element

_UNSHOWN = frozenset(
    [
        "script",
        "style",
        "template",
        "noscript",
        "head",
        "nav",
        "iframe",
        "object",
        "embed",
        "svg",
        "math",
        "canvas",
        "video",
        "audio",
        "form",
        "button",
        "select",
        "textarea",
        "input",
        "dialog",
    ]
)
_HEADINGS = {f"h{level}": level for level in range(1, 7)}
_CELLS = frozenset({"td", "th"})
_INLINE = frozenset(
    [
        "a",
        "abbr",
        "b",
        "bdi",
        "bdo",
        "big",
        "cite",
        "code",
        "data",
        "del",
        "dfn",
        "em",
        "font",
        "i",
        "img",
        "ins",
        "kbd",
        "label",
        "mark",
        "q",
        "s",
        "samp",
        "small",
        "span",
        "strike",
        "strong",
        "sub",
        "sup",
        "time",
        "tt",
        "u",
        "var",
        "wbr",
    ]
)
_DECLARED = re.compile(rb"""charset\s*=\s*["']?\s*([A-Za-z0-9_.:-]{1,40})""", re.IGNORECASE)
_DECLARED_WITHIN = 4096
_HIDING = re.compile(r"display\s*:\s*none|visibility\s*:\s*hidden|font-size\s*:\s*0(?![.\d])|opacity\s*:\s*0(?![.\d])")


def html(raw: bytes) -> Parsed:
    """Raises ``DocumentRefusedError``."""
    declared = _DECLARED.search(raw[:_DECLARED_WITHIN])
    text = decoded(raw, declared[1].decode() if declared else None)
    return of_text(text)


def of_text(text: str) -> Parsed:
    """Blocks of a page that is text already. Raises ``DocumentRefusedError``."""
    parser = etree.HTMLParser(encoding="utf-8", no_network=True, remove_comments=True, remove_pis=True, huge_tree=False)
    try:
        root = etree.fromstring(text.encode("utf-8", "replace"), parser)
    except etree.XMLSyntaxError as error:
        raise DocumentRefusedError("damaged", "the page cannot be read") from error
    if root is None:
        return Parsed()
    walk = _Walk()
    walk.over(root)
    title = root.findtext(".//head/title")
    return Parsed(title=" ".join(title.split()) or None if title else None, language=_language(root), blocks=walk.found)


def _language(root: _Element) -> str | None:
    found = root.get("lang") or root.get("{http://www.w3.org/XML/1998/namespace}lang") or root.get("xml:lang")
    return found[:35] if found else None


class _Walk:
    """Goes through a tree without recursion, so that no depth of nesting ends the process."""

    def __init__(self) -> None:
        self.found: list[Block] = []
        self._words: list[str] = []
        self._kinds: list[tuple[Kind, int]] = [("paragraph", 0)]
        self._cells: list[str] | None = None

    def over(self, root: _Element) -> None:
        events = etree.iterwalk(root, events=("start", "end"))
        for event, element in events:
            tag = element.tag if isinstance(element.tag, str) else ""
            if event == "start":
                if not tag or _unshown(tag, element):
                    events.skip_subtree()
                    self._kinds.append(self._kinds[-1])
                    continue
                self._begin(tag, element)
            else:
                self._end(tag)
                self._say(element.tail)
        self._flush()

    def _begin(self, tag: str, element: _Element) -> None:
        if tag == "br":
            self._say("\n")
        elif tag not in _INLINE:
            self._flush()
        if tag == "tr":
            self._cells = []
        self._kinds.append(_kind(tag, self._kinds[-1]))
        self._say(element.text)

    def _end(self, tag: str) -> None:
        if tag in _CELLS and self._cells is not None:
            self._cells.append(" ".join("".join(self._words).split()))
            self._words.clear()
        elif tag == "tr" and self._cells is not None:
            if any(self._cells):
                self.found.append(Block(kind="row", text=" | ".join(self._cells)))
            self._cells = None
        elif tag and tag not in _INLINE and tag not in _UNSHOWN:
            self._flush()
        self._kinds.pop()

    def _say(self, text: str | None) -> None:
        if text:
            self._words.append(text)

    def _flush(self) -> None:
        if self._cells is not None:
            self._words.append(" ")
            return
        kind, level = self._kinds[-1]
        text = "".join(self._words)
        self._words.clear()
        if text.strip():
            self.found.append(Block(kind=kind, text=text, level=level))


def _kind(tag: str, outer: tuple[Kind, int]) -> tuple[Kind, int]:
    if tag in _HEADINGS:
        return "heading", _HEADINGS[tag]
    if tag in {"li", "dd", "dt"}:
        return "item", 0
    return ("code", 0) if tag == "pre" else outer


def _unshown(tag: str, element: _Element) -> bool:
    hidden = element.get("hidden") is not None or element.get("aria-hidden") == "true"
    return tag in _UNSHOWN or hidden or bool(_HIDING.search((element.get("style") or "").lower()))
