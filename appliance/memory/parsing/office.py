"""DOCX and ODT: archives whose text is one XML file. Only that, the styles and the title are taken out, within bounds.

Sources: ECMA-376 part 1 (17.3 paragraphs, 17.4 tables, 17.7 styles); OpenDocument 1.3 part 3 (5 text, 9 tables).
"""

from __future__ import annotations

import io
import zipfile
import zlib
from typing import TYPE_CHECKING

from lxml import etree

from appliance.memory.errors import DocumentRefusedError
from appliance.memory.parsing.blocks import MAX_LEVEL, Block, Parsed
from appliance.memory.parsing.office_hidden import undisplayed, unvanished

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from lxml.etree import _Element

MAX_PART_BYTES = 128 << 20
"""Of one file inside, inflated."""
MAX_MEMBERS = 20_000
_W = "{http://schemas.openxmlformats.org/wordprocessingml/2006/main}"
_TEXT = "{urn:oasis:names:tc:opendocument:xmlns:text:1.0}"
_TABLE = "{urn:oasis:names:tc:opendocument:xmlns:table:1.0}"
_OFFICE = "{urn:oasis:names:tc:opendocument:xmlns:office:1.0}"
_DC = "{http://purl.org/dc/elements/1.1/}"


def docx(raw: bytes) -> Parsed:
    """Raises ``DocumentRefusedError``."""
    with _opened(raw) as archive:
        names = set(archive.namelist())
        if any(name.lower().endswith("vbaproject.bin") for name in names):
            raise DocumentRefusedError("macros", "the document carries macros")
        body = _xml(archive, "word/document.xml").find(f"{_W}body")
        styles = _xml(archive, "word/styles.xml") if "word/styles.xml" in names else None
        levels = _style_levels(styles) if styles is not None else {}
        core = _xml(archive, "docProps/core.xml") if "docProps/core.xml" in names else None
    if body is None:
        raise DocumentRefusedError("damaged", "the document has no body")
    unvanished(body, styles)
    blocks = list(_blocks(body, f"{_W}tbl", f"{_W}tr", f"{_W}tc", lambda p: _word_paragraph(p, levels)))
    title, language = (
        (core.findtext(f"{_DC}title"), core.findtext(f"{_DC}language")) if core is not None else (None,) * 2
    )
    return Parsed(title=title or None, language=language[:35] if language else None, blocks=blocks)


def odt(raw: bytes) -> Parsed:
    """Raises ``DocumentRefusedError``."""
    with _opened(raw) as archive:
        names = set(archive.namelist())
        if any(name.startswith(("Basic/", "Scripts/")) for name in names):
            raise DocumentRefusedError("macros", "the document carries macros")
        if "META-INF/manifest.xml" in names and b"encryption-data" in _read(archive, "META-INF/manifest.xml"):
            raise DocumentRefusedError("encrypted", "the document needs a password")
        content = _xml(archive, "content.xml")
        body = content.find(f"{_OFFICE}body/{_OFFICE}text")
        styles = [content, *([_xml(archive, "styles.xml")] if "styles.xml" in names else [])]
        meta = _xml(archive, "meta.xml") if "meta.xml" in names else None
    if body is None:
        raise DocumentRefusedError("damaged", "the document has no text part")
    undisplayed(body, styles)
    row = f"{_TABLE}table-row"
    blocks = list(_blocks(body, f"{_TABLE}table", row, f"{_TABLE}table-cell", _open_paragraph))
    title, language = (meta.findtext(f".//{_DC}{n}") if meta is not None else None for n in ("title", "language"))
    return Parsed(title=title or None, language=language[:35] if language else None, blocks=blocks)


def _opened(raw: bytes) -> zipfile.ZipFile:
    try:
        archive = zipfile.ZipFile(io.BytesIO(raw))
    except (zipfile.BadZipFile, NotImplementedError, ValueError, OSError) as error:
        raise DocumentRefusedError("damaged", "the archive that the document is cannot be read") from error
    members = archive.infolist()
    if len(members) > MAX_MEMBERS:
        raise DocumentRefusedError("too_large", f"the document holds more than {MAX_MEMBERS} files")
    if any(member.flag_bits & 0x1 for member in members):
        raise DocumentRefusedError("encrypted", "the document needs a password")
    return archive


def _read(archive: zipfile.ZipFile, name: str) -> bytes:
    """One file inside, bounded while it inflates: what the archive says of sizes counts for nothing."""
    try:
        with archive.open(name) as member:
            data = member.read(MAX_PART_BYTES + 1)
    except KeyError as error:
        raise DocumentRefusedError("damaged", f"the document lacks {name}") from error
    except (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, OSError, ValueError) as error:
        raise DocumentRefusedError("damaged", f"{name} inside the document is damaged") from error
    if len(data) > MAX_PART_BYTES:
        raise DocumentRefusedError("too_large", f"{name} inside the document is larger than {MAX_PART_BYTES >> 20} MiB")
    return data


def _xml(archive: zipfile.ZipFile, name: str) -> _Element:
    """One XML file inside. A document type is refused, and with it every entity that could multiply or reach out."""
    parser = etree.XMLParser(
        resolve_entities=False, no_network=True, load_dtd=False, huge_tree=False, remove_comments=True, remove_pis=True
    )
    try:
        root = etree.fromstring(_read(archive, name), parser)
    except etree.XMLSyntaxError as error:
        deep = "depth" in str(error).lower()
        raise DocumentRefusedError(
            "too_deep" if deep else "damaged", f"{name} inside the document is no XML"
        ) from error
    if root.getroottree().docinfo.doctype:
        raise DocumentRefusedError("damaged", f"{name} inside the document declares a document type")
    return root


def _blocks(
    body: _Element, table: str, row: str, cell: str, paragraph: Callable[[_Element], Block | None]
) -> Iterator[Block]:
    """Paragraphs and rows in order, whatever they are wrapped in; a table inside a cell is part of the cell."""
    walk = etree.iterwalk(body, events=("start",))
    for _, element in walk:
        if element.tag == table:
            walk.skip_subtree()
            for one in element.iter(row):
                cells = [" ".join("".join(_said(c)).split()) for c in one.iterchildren(cell)]
                if any(cells):
                    yield Block(kind="row", text=" | ".join(cells))
        elif (found := paragraph(element)) is not None:
            if found.text.strip():
                yield found
            walk.skip_subtree()


_BREAKS = {f"{_W}tab": "\t", f"{_W}br": "\n", f"{_W}cr": "\n", f"{_W}p": " ", f"{_TEXT}tab": "\t", f"{_TEXT}p": " "}
_BREAKS |= {f"{_TEXT}line-break": "\n", f"{_TEXT}s": " "}
_LEFT_OUT = frozenset(
    {f"{_TEXT}note", f"{_TEXT}tracked-changes", f"{_OFFICE}annotation", f"{_W}txbxContent", f"{_W}del", f"{_W}pict"}
)


def _said(element: _Element) -> Iterator[str]:
    """The words below ``element``; deleted text, notes and frames are left out."""
    walk = etree.iterwalk(element, events=("start", "end"))
    for event, one in walk:
        if event == "end":
            if one is not element and one.tail and not str(one.tag).startswith(_W):
                yield one.tail
            continue
        if one.tag in _LEFT_OUT:
            walk.skip_subtree()
            continue
        yield _BREAKS.get(str(one.tag), "")
        if one.text and (one.tag == f"{_W}t" or not str(one.tag).startswith(_W)):
            yield one.text


def _style_levels(styles: _Element) -> dict[str, int]:
    """Heading levels of paragraph styles, by their ids: by outline level, or by the built-in names."""
    found: dict[str, int] = {}
    for style in styles.iter(f"{_W}style"):
        name, outline = style.find(f"{_W}name"), style.find(f"{_W}pPr/{_W}outlineLvl")
        called = (name.get(f"{_W}val") or "").lower() if name is not None else ""
        number = outline.get(f"{_W}val") or "" if outline is not None else called.removeprefix("heading ")
        if number.isascii() and number.isdigit() and len(number) == 1 and (outline is not None or "heading" in called):
            found[style.get(f"{_W}styleId") or ""] = min(int(number) + (outline is not None), MAX_LEVEL)
        elif called == "title":
            found[style.get(f"{_W}styleId") or ""] = 1
    return found


def _word_paragraph(element: _Element, levels: dict[str, int]) -> Block | None:
    if element.tag != f"{_W}p":
        return None
    style, numbered = element.find(f"{_W}pPr/{_W}pStyle"), element.find(f"{_W}pPr/{_W}numPr")
    level = levels.get(style.get(f"{_W}val") or "", 0) if style is not None else 0
    return _block("heading" if level else "item" if numbered is not None else "paragraph", element, level)


def _open_paragraph(element: _Element) -> Block | None:
    if element.tag == f"{_TEXT}h":
        level = element.get(f"{_TEXT}outline-level") or "1"
        return _block(
            "heading", element, min(max(int(level), 1), MAX_LEVEL) if level.isascii() and level.isdigit() else 1
        )
    if element.tag != f"{_TEXT}p":
        return None
    parent = element.getparent()
    return _block("item" if parent is not None and parent.tag == f"{_TEXT}list-item" else "paragraph", element, 0)


def _block(kind: str, element: _Element, level: int) -> Block:
    text = "".join(_said(element)).strip() or " "
    return Block(kind=kind, text=text, level=level)  # type: ignore[arg-type]  # callers give words of Kind
