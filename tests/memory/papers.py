"""Documents of every kind, made here: sound ones, and what an enemy makes of them."""

from __future__ import annotations

import io
import zipfile

W = "http://schemas.openxmlformats.org/wordprocessingml/2006/main"
_STYLES = (
    f'<w:styles xmlns:w="{W}"><w:style w:type="paragraph" w:styleId="berschrift1"><w:name w:val="heading 1"/>'
    "</w:style></w:styles>"
)


def archive(files: dict[str, bytes | str]) -> bytes:
    """A zip file of ``files``."""
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as zipped:
        for name, data in files.items():
            zipped.writestr(name, data)
    return out.getvalue()


def docx(body: str, **others: bytes | str) -> bytes:
    """A DOCX whose body is the XML ``body``."""
    document = f'<w:document xmlns:w="{W}"><w:body>{body}</w:body></w:document>'
    return archive({"word/document.xml": document, "word/styles.xml": _STYLES, **others})


def word_paragraph(text: str, style: str = "") -> str:
    """A paragraph of a DOCX."""
    styled = f'<w:pPr><w:pStyle w:val="{style}"/></w:pPr>' if style else ""
    return f"<w:p>{styled}<w:r><w:t>{text}</w:t></w:r></w:p>"


def odt(body: str, **others: bytes | str) -> bytes:
    """An ODT whose text is the XML ``body``."""
    spaces = " ".join(
        f'xmlns:{short}="urn:oasis:names:tc:opendocument:xmlns:{short}:1.0"' for short in ("office", "text", "table")
    )
    content = f"<office:document-content {spaces}><office:body><office:text>{body}</office:text></office:body>"
    return archive({"content.xml": f"{content}</office:document-content>", **others})


def pdf(pages: list[list[str]], outline: list[tuple[str, int]] = (), extra: str = "") -> bytes:  # type: ignore[assignment]  # an empty tuple is no list
    """A PDF whose pages show ``pages`` line by line; ``outline`` names titles and their pages, from 0."""
    first = 4
    numbers = [first + 2 * at for at in range(len(pages))]
    marks = first + 2 * len(pages)
    objects = {
        1: f"<< /Type /Catalog /Pages 2 0 R {f'/Outlines {marks} 0 R' if outline else ''} {extra} >>",
        2: f"<< /Type /Pages /Kids [{' '.join(f'{n} 0 R' for n in numbers)}] /Count {len(pages)} >>",
        3: "<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica /Encoding /WinAnsiEncoding >>",
    }
    for number, lines in zip(numbers, pages, strict=True):
        shown = "".join(f"({line}) Tj 0 -14 Td\n" for line in lines)
        content = f"BT /F1 11 Tf 50 780 Td\n{shown}ET"
        objects[number] = (
            f"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 595 842] /Contents {number + 1} 0 R "
            "/Resources << /Font << /F1 3 0 R >> >> >>"
        )
        objects[number + 1] = f"<< /Length {len(content)} >>\nstream\n{content}\nendstream"
    for at, (title, page) in enumerate(outline):
        link = f"/Next {marks + at + 2} 0 R" if at + 1 < len(outline) else ""
        objects[marks + at + 1] = f"<< /Title ({title}) /Parent {marks} 0 R /Dest [{numbers[page]} 0 R /Fit] {link} >>"
    if outline:
        objects[marks] = f"<< /First {marks + 1} 0 R /Last {marks + len(outline)} 0 R /Count {len(outline)} >>"
    return _assembled(objects)


def _assembled(objects: dict[int, str]) -> bytes:
    out = b"%PDF-1.7\n"
    places = {}
    for number, body in sorted(objects.items()):
        places[number] = len(out)
        out += f"{number} 0 obj\n{body}\nendobj\n".encode("latin-1")
    table = "".join(f"{places[number]:010} 00000 n \n" for number in sorted(objects))
    size = max(objects) + 1
    trailer = f"trailer\n<< /Size {size} /Root 1 0 R >>\nstartxref\n{len(out)}\n%%EOF"
    return out + f"xref\n0 {size}\n0000000000 65535 f \n{table}{trailer}".encode("latin-1")


def encrypted_pdf() -> bytes:
    """A PDF that wants a password nobody here has (standard security handler, revision 2, 40 bits)."""
    plain = pdf([["Nothing to see."]])
    handler = f"<< /Filter /Standard /V 1 /R 2 /O <{'11' * 32}> /U <{'22' * 32}> /P -4 >>"
    where = plain.rindex(b"/Root 1 0 R")
    return plain[:where] + f"/Encrypt {handler} /ID [<{'33' * 16}> <{'33' * 16}>] ".encode() + plain[where:]
