"""Compare what is wanted with what is found. Pure.

Rules: a wanted mapping is compared key by key, and keys the server added are ignored, except in *closed* collections
(clients, groups, roles, mappers, …), where an extra member is a difference: that is what a back door looks like. Lists
of names are compared as sets, other lists in order. No secret ever reaches this module: ``snapshot`` drops them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

CLOSED = frozenset(
    {
        "clients",
        "groups",
        "roles",
        "service_accounts",
        "identity_providers",
        "user_federation",
        "people",
        "protocolMappers",
        "clientRoles",
    }
)
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


def compare(wanted: Any, found: Any, path: str) -> tuple[Difference, ...]:
    """Every difference below ``path``, in the order of ``wanted``, extra members last."""
    if isinstance(wanted, Mapping) and isinstance(found, Mapping):
        return _compare_mappings(wanted, found, path)
    if _is_names(wanted) and _is_names(found):
        return () if set(wanted) == set(found) else (Difference(path, sorted(wanted), sorted(found)),)
    return () if wanted == found else (Difference(path, wanted, found),)


def _compare_mappings(wanted: Mapping[str, Any], found: Mapping[str, Any], path: str) -> tuple[Difference, ...]:
    differences: list[Difference] = []
    closed = path.rpartition(".")[2] in CLOSED
    for key, value in wanted.items():
        below = f"{path}.{key}"
        if key in found:
            differences += compare(value, found[key], below)
        elif value is not None:
            differences.append(Difference(below, PRESENT if isinstance(value, Mapping) else value, ABSENT))
    if closed:
        differences += [Difference(f"{path}.{key}", ABSENT, PRESENT) for key in found if key not in wanted]
    return tuple(differences)


def _is_names(value: Any) -> bool:
    return isinstance(value, Sequence) and not isinstance(value, str) and all(isinstance(v, str) for v in value)
