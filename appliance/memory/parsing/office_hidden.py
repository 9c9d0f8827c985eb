"""Words in DOCX and ODT that their reader does not see, taken out: models would read what people do not.

Sources: ECMA-376 part 1 (17.3.2.41 vanish, 17.7.4.3 basedOn); OpenDocument 1.3 part 3 (19.802 text:display, 20.415
text:display of text properties, 7.7.4 hidden text).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

    from lxml.etree import _Element

_W = "{http://schemas.openxmlformats.org/wordprocessingml/2006/main}"
_TEXT = "{urn:oasis:names:tc:opendocument:xmlns:text:1.0}"
_STYLE = "{urn:oasis:names:tc:opendocument:xmlns:style:1.0}"
_OFF = frozenset({"0", "false", "off"})
MAX_STEPS = 32
"""Of one style resting on another."""


def unvanished(body: _Element, styles: _Element | None) -> None:
    """Take the runs out of a DOCX's ``body`` that are marked as hidden, by themselves or by a style."""
    of = {style.get(f"{_W}styleId") or "": style for style in styles.iter(f"{_W}style")} if styles is not None else {}
    known: dict[str, bool] = {name: _style_vanishes(name, of) for name in of}
    for run in list(body.iter(f"{_W}r")):
        own = _switch(run)
        if own is None:
            own = any(known.get(name, False) for name in (_named(run, "rPr", "rStyle"), _of_paragraph(run)))
        if own and (parent := run.getparent()) is not None:
            parent.remove(run)


def _style_vanishes(name: str, of: dict[str, _Element]) -> bool:
    for _ in range(MAX_STEPS):
        style = of.get(name)
        if style is None:
            return False
        if (own := _switch(style)) is not None:
            return own
        based = style.find(f"{_W}basedOn")
        name = (based.get(f"{_W}val") or "") if based is not None else ""
    return True


def _switch(element: _Element) -> bool | None:
    found = element.find(f"{_W}rPr/{_W}vanish")
    return None if found is None else (found.get(f"{_W}val") or "1").lower() not in _OFF


def _named(element: _Element, properties: str, style: str) -> str:
    found = element.find(f"{_W}{properties}/{_W}{style}")
    return (found.get(f"{_W}val") or "") if found is not None else ""


def _of_paragraph(run: _Element) -> str:
    paragraph = next(run.iterancestors(f"{_W}p"), None)
    return _named(paragraph, "pPr", "pStyle") if paragraph is not None else ""


def undisplayed(body: _Element, styles: Iterable[_Element]) -> None:
    """Take out of an ODT's ``body`` what its styles, sections or fields do not display."""
    hidden = {
        style.get(f"{_STYLE}name")
        for part in styles
        for style in part.iter(f"{_STYLE}style")
        if any(p.get(f"{_TEXT}display") == "none" for p in style.iterchildren(f"{_STYLE}text-properties"))
    }
    for element in list(body.iter()):
        shown = element.get(f"{_TEXT}style-name") not in hidden or element.get(f"{_TEXT}style-name") is None
        display = element.get(f"{_TEXT}display") != "none"
        folded = element.get(f"{_TEXT}is-hidden") == "true"
        if element.tag == f"{_TEXT}hidden-paragraph" and folded:
            _emptied(next(element.iterancestors(f"{_TEXT}p"), element))
        elif not (shown and display) or folded or element.tag == f"{_TEXT}hidden-text":
            _emptied(element)


def _emptied(element: _Element) -> None:
    tail = element.tail
    element.clear()
    element.tail = tail
