"""One section of a realm document together with the connection that mends it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from appliance.identity.differences import Difference, compare_member

if TYPE_CHECKING:
    from keycloak import KeycloakAdmin


@dataclass(frozen=True)
class Section:
    """What is wanted and what was found, in the same shape (see ``realm``)."""

    admin: KeycloakAdmin
    wanted: Any
    found: Any

    def differing(self) -> Iterator[tuple[str, Mapping[str, Any], Mapping[str, Any] | None, str]]:
        """Members to make or mend: name, wanted, found (None when there is none), and the fields that differ."""
        for name, wanted in self.wanted.items():
            found = self.found.get(name)
            if found is None:
                yield name, wanted, None, ""
            elif differences := compare_member(wanted, found, name):
                yield name, wanted, found, fields_of(differences, name)

    def foreign(self) -> Iterator[tuple[str, Mapping[str, Any]]]:
        """Members that were found and are not wanted."""
        return ((name, found) for name, found in self.found.items() if name not in self.wanted)


def fields_of(differences: tuple[Difference, ...], path: str) -> str:
    """The names of differing fields, for a message."""
    return ", ".join(difference.path.removeprefix(f"{path}.") for difference in differences)


def merged(found: Mapping[str, Any], wanted: Mapping[str, Any]) -> dict[str, Any]:
    """``found`` with the wanted fields in place: Keycloak replaces what is sent, so all of it has to be sent back."""
    result = dict(found)
    for key, value in wanted.items():
        inner = result.get(key)
        result[key] = merged(inner, value) if isinstance(inner, Mapping) and isinstance(value, Mapping) else value
    return result
