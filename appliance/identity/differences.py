"""Compare what is wanted with what is found. Pure.

Rules: a wanted mapping is compared key by key, and keys the server added are ignored, except in *closed* collections
(clients, groups, roles, mappers, …), where an extra member is a difference: that is what a back door looks like. Lists
of names are compared as sets, other lists in order. No secret ever reaches this module: ``snapshot`` drops them.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

CLOSED_SECTIONS = frozenset(
    {"clients", "groups", "roles", "service_accounts", "identity_providers", "user_federation", "people"}
)
"""Sections of a realm document in which only what is wanted may exist."""

_CLOSED_FIELDS = frozenset({"protocolMappers", "clientRoles"})
"""Fields inside a member that are closed too. No site name can equal them: those are lower case."""

ABSENT = "(absent)"
PRESENT = "(present)"


@dataclass(frozen=True)
class Difference:
    """One place where the running realm is not the wanted one; ``path`` is dotted, from the realm's name."""

    path: str
    wanted: Any
    found: Any

    def __str__(self) -> str:
        return f"{self.path}: wanted {self.wanted!r}, found {self.found!r}"


def compare_documents(wanted: Mapping[str, Any], found: Mapping[str, Any], realm: str) -> tuple[Difference, ...]:
    """Every difference between two realm documents, section by section."""
    return tuple(
        difference
        for section in wanted
        for difference in compare_section(wanted[section], found[section], f"{realm}.{section}")
    )


def compare_section(wanted: Any, found: Any, path: str) -> tuple[Difference, ...]:
    """Every difference of one section; the last part of ``path`` is the section's name."""
    return tuple(_compare(wanted, found, path, closed=path.rpartition(".")[2] in CLOSED_SECTIONS))


def compare_member(wanted: Any, found: Any, path: str) -> tuple[Difference, ...]:
    """Every difference of one member of a section (one client, one group, …)."""
    return tuple(_compare(wanted, found, path, closed=False))


def _compare(wanted: Any, found: Any, path: str, *, closed: bool) -> Iterator[Difference]:
    if isinstance(wanted, Mapping) and isinstance(found, Mapping):
        yield from _compare_mappings(wanted, found, path, closed=closed)
    elif _is_names(wanted) and _is_names(found):
        if set(wanted) != set(found):
            yield Difference(path, sorted(wanted), sorted(found))
    elif wanted != found:
        yield Difference(path, wanted, found)


def _compare_mappings(
    wanted: Mapping[str, Any], found: Mapping[str, Any], path: str, *, closed: bool
) -> Iterator[Difference]:
    for key, value in wanted.items():
        below = f"{path}.{key}"
        if key in found:
            yield from _compare(value, found[key], below, closed=key in _CLOSED_FIELDS)
        elif value is not None:
            yield Difference(below, PRESENT if isinstance(value, Mapping) else value, ABSENT)
    if closed:
        yield from (Difference(f"{path}.{key}", ABSENT, PRESENT) for key in found if key not in wanted)


def _is_names(value: Any) -> bool:
    return isinstance(value, Sequence) and not isinstance(value, str) and all(isinstance(v, str) for v in value)
