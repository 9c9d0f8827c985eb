"""The file people are imported from: CSV with a header, read strictly. Pure.

    username,groups,email,first,last
    analyst,analysts
    officer,analysts;auditors,officer@site.example,,

``username`` and ``groups`` are required columns, the others may be left out. Groups are separated by ``;``. Every
mistake is reported at once, with its line; the file is refused as a whole.
"""

from __future__ import annotations

import csv
import io
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from appliance.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator

REQUIRED = ("username", "groups")
OPTIONAL = ("email", "first", "last")
MAX_BYTES = 4 * 1024 * 1024
_USERNAME = re.compile(r"[a-z0-9][a-z0-9._-]{2,63}")
_EMAIL = re.compile(r"[^@\s,;<>\"]{1,64}@[a-zA-Z0-9](?:[a-zA-Z0-9.-]{0,252}[a-zA-Z0-9])?")
_NAME = re.compile(r"[^\x00-\x1f\x7f<>&\"$%!#?§;*~/\\|^=\[\]{}()]{0,100}")


class UsersFileError(UsageError):
    """The file is wrong; ``mistakes`` holds every finding as ``line N: cause``. Nothing was changed."""

    def __init__(self, name: str, mistakes: tuple[str, ...]) -> None:
        plural = "s" if len(mistakes) != 1 else ""
        super().__init__(
            f"{name}: {len(mistakes)} mistake{plural}\n  " + "\n  ".join(mistakes),
            "mend the lines above; nobody was imported",
        )
        self.mistakes = mistakes


@dataclass(frozen=True)
class FileUser:
    """One person of the file. Empty optional fields are None and leave what Keycloak holds alone."""

    username: str
    groups: tuple[str, ...]
    email: str | None = None
    first: str | None = None
    last: str | None = None


def read_users(data: bytes, *, name: str, known_groups: Collection[str]) -> tuple[FileUser, ...]:
    """The people in ``data``. Raises ``UsersFileError`` with every mistake."""
    if len(data) > MAX_BYTES:
        raise UsersFileError(name, (f"line 1: larger than {MAX_BYTES // 1024 // 1024} MiB",))
    try:
        text = data.decode("utf-8-sig")  # spreadsheets write a byte order mark
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise UsersFileError(name, (f"line {line}: not UTF-8 text",)) from error
    reader = csv.reader(io.StringIO(text, newline=""), strict=True)
    try:
        rows = [(reader.line_num, row) for row in reader if row]
    except csv.Error as error:
        raise UsersFileError(name, (f"line {reader.line_num}: {error}",)) from error
    if not rows:
        raise UsersFileError(name, ("line 1: the file is empty",))
    (_, header), *lines = rows
    if mistakes := tuple(_header_mistakes(header)):
        raise UsersFileError(name, mistakes)
    return _people(name, header, lines, known_groups)


def _people(
    name: str, header: list[str], lines: list[tuple[int, list[str]]], known_groups: Collection[str]
) -> tuple[FileUser, ...]:
    people: list[FileUser] = []
    mistakes: list[str] = []
    seen: dict[str, int] = {}
    for line, row in lines:
        if len(row) > len(header):
            mistakes.append(f"line {line}: {len(row)} fields, the header names {len(header)}")
            continue
        fields = dict.fromkeys(header, "") | dict(zip(header, (cell.strip() for cell in row), strict=False))
        username = fields["username"]
        mistakes += [f"line {line}: {cause}" for cause in _mistakes(fields, known_groups)]
        if username in seen:
            mistakes.append(f"line {line}: {username} is already on line {seen[username]}")
        seen.setdefault(username, line)
        optional = (fields.get(column) or None for column in OPTIONAL)
        people.append(FileUser(username, _groups(fields), *optional))
    if mistakes:
        raise UsersFileError(name, tuple(mistakes))
    return tuple(people)


def _header_mistakes(header: list[str]) -> Iterator[str]:
    for column in REQUIRED:
        if column not in header:
            yield f"line 1: the column {column} is missing"
    for position, column in enumerate(header):
        if column not in (*REQUIRED, *OPTIONAL):
            yield f"line 1: unknown column {column!r}; known are {', '.join((*REQUIRED, *OPTIONAL))}"
        elif column in header[:position]:
            yield f"line 1: the column {column} is there twice"


def _mistakes(fields: dict[str, str], known_groups: Collection[str]) -> Iterator[str]:
    if not _USERNAME.fullmatch(fields["username"]):
        yield f"{fields['username']!r} is no user name: 3 to 64 of a-z 0-9 . _ - and a letter or digit first"
    groups = _groups(fields)
    if not groups:
        yield "no group: without one a person may use no model"
    for group in groups:
        if group not in known_groups:
            yield f"unknown group {group!r}; the site has {', '.join(sorted(known_groups))}"
    if fields.get("email") and not _EMAIL.fullmatch(fields["email"]):
        yield f"{fields['email']!r} is no e-mail address"
    for column in ("first", "last"):
        if not _NAME.fullmatch(fields.get(column, "")):
            yield f"{column}: a name holds no such character"


def _groups(fields: dict[str, str]) -> tuple[str, ...]:
    parts = (part.strip() for part in fields.get("groups", "").split(";"))
    return tuple(dict.fromkeys(part for part in parts if part))
