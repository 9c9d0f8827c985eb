"""What an auditor may ask the log for, and how the log tells it. Pure.

An entry about a look is kept as long as any other, so what somebody types must not become one: a filter is the shape of
what it is looked for in (a pseudonym, a kind, an outcome, a name as site.yaml has them) or it is refused. A name that
this site does not know (any more) is looked for, and the log tells its digest: who knows a name can compare.
"""

from __future__ import annotations

import hashlib
import re
from datetime import UTC, date, datetime, timedelta
from typing import TYPE_CHECKING

from appliance.audit.commitment import PSEUDONYM_HEX
from appliance.audit.events_identity import UNKNOWN
from appliance.audit.roles import KINDS
from appliance.audit.search import FOREIGN, Wanted
from appliance.gateway.errors import UnprocessableError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from appliance.site.config import SiteConfig

DAYS = ("since", "until")
FILTERS = ("subject", "group", "kind", "outcome", "model")
POSITIONS = ("before", "first", "last")
SUBJECTS = "subjects"
MOST_SUBJECTS = 32
"""Pseudonyms that are asked for at once: as many as an entry about it can hold."""
_NAMES = ("group", "model")
_NUMBER = re.compile(r"[0-9]{1,15}")
_PSEUDONYM = rf"[0-9a-f]{{{PSEUDONYM_HEX}}}"
_SHAPES = {
    "subject": (re.compile(rf"{_PSEUDONYM}|{UNKNOWN}"), "a pseudonym, as entries have them"),
    SUBJECTS: (
        re.compile(rf"{_PSEUDONYM}(,{_PSEUDONYM}){{0,{MOST_SUBJECTS - 1}}}"),
        f"1 to {MOST_SUBJECTS} pseudonyms with commas between",
    ),
    "kind": (re.compile("|".join(map(re.escape, sorted({*KINDS, FOREIGN})))), "a kind of entry, such as refusal"),
    "outcome": (re.compile(r"[a-z][a-z_]{0,39}"), "an outcome, such as failure or quota_exceeded"),
    "group": (re.compile(r"[a-z0-9][a-z0-9._-]{0,62}"), "a name as site.yaml has them"),
    "model": (re.compile(r"[a-z0-9][a-z0-9._-]{0,62}"), "a name as site.yaml has them"),
}

Asked = dict[str, str | int]
Told = dict[str, str | int | list[str]]


def read_query(query: Mapping[str, str], *names: str) -> Asked:
    """What ``query`` says of ``names``; empty is nothing. Raises ``UnprocessableError``."""
    return {name: _read(name, query[name]) for name in names if query.get(name)}


def wanted(asked: Asked) -> Wanted:
    """The entries that are asked for. Raises ``UnprocessableError`` for a day after which there is none."""
    texts = {name: str(asked[name]) for name in FILTERS if name in asked}
    since = _midnight(str(asked["since"])) if "since" in asked else None
    until = _midnight(str(asked["until"]), days=1) if "until" in asked else None
    return Wanted(since=since, until=until, **texts)


def subjects_of(asked: Asked) -> list[str]:
    """The pseudonyms whose names are asked for, each once. Raises ``UnprocessableError`` where there is none."""
    if SUBJECTS not in asked:
        raise UnprocessableError("which pseudonyms are meant must be said", param=SUBJECTS)
    return list(dict.fromkeys(str(asked[SUBJECTS]).split(",")))


def told(asked: Asked, site: SiteConfig) -> Told:
    """``asked``, as the log may keep it."""
    known = {
        "group": {group.name for group in site.groups},
        "model": {name for model in site.models for name in (model.name, *model.adapters)},
    }
    kept: Told = {name: _told(str(value), known[name]) if name in _NAMES else value for name, value in asked.items()}
    return kept | ({SUBJECTS: subjects_of(asked)} if SUBJECTS in asked else {})


def _told(name: str, known: set[str]) -> str:
    return name if name in known else f"sha256:{hashlib.sha256(name.encode()).hexdigest()}"


def _read(name: str, value: str) -> str | int:
    if name in POSITIONS:
        if not _NUMBER.fullmatch(value):
            raise UnprocessableError(f"{name} is a position in the log, a number", param=name)
        return int(value)
    if name in DAYS:
        try:
            return date.fromisoformat(value).isoformat()
        except ValueError as error:
            raise UnprocessableError(f"{name} is a day like 2026-11-26", param=name) from error
    shape, what = _SHAPES[name]
    if not shape.fullmatch(value):
        raise UnprocessableError(f"{name} is {what}", param=name)
    return value


def _midnight(day: str, days: int = 0) -> int:
    """When ``day`` begins in UTC, or a day that many days later, in milliseconds."""
    try:
        begun = datetime.combine(date.fromisoformat(day) + timedelta(days=days), datetime.min.time(), UTC)
    except OverflowError as error:
        raise UnprocessableError("there is no day after that", param="until") from error
    return int(begun.timestamp() * 1000)
