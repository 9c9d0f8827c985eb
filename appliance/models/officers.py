"""The officers whose waivers count: those that site.yaml names, with the keys that were enrolled at installation."""

from __future__ import annotations

from typing import TYPE_CHECKING

from airgap_bundle.errors import KeyFileError
from airgap_bundle.keys import load_public
from appliance.models.errors import PolicyError

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from airgap_bundle.keys import PublicSigner


def load_officers(directory: Path, enrolled: Iterable[str]) -> tuple[PublicSigner, ...]:
    """Public keys ``directory/NAME.pub`` of every name in ``enrolled``; other files there count for nothing.

    Raises ``PolicyError`` when a key file is missing, malformed, or made out to another name.
    """
    found = []
    for name in enrolled:
        path = directory / f"{name}.pub"
        try:
            officer = load_public(path)
        except KeyFileError as error:
            raise PolicyError(f"officer {name}: {error.cause}", "run `sovereign install` again") from error
        if officer.name != name:
            raise PolicyError(f"{path} holds the keys of {officer.name}, not of officer {name}")
        found.append(officer)
    return tuple(found)
