"""What left the site of its learning: the number of the last export, and which cases each digest was.

It is kept so that the next export has a higher number and says what is not asked any more. It is written when the audit
log has the export and before the export has its name: an export that a crash kept from leaving can be sent again.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from airgap_bundle import strict_json
from airgap_bundle.errors import FormatError
from appliance.errors import DeploymentError
from appliance.site.secrets import write_private

if TYPE_CHECKING:
    from pathlib import Path

_MAX_BYTES = 64 << 20


@dataclass(frozen=True)
class Sent:
    """``number`` and ``digest`` of the last export; ``cases``: each digest that ever went, and what it was here."""

    number: int = 0
    digest: str = ""
    cases: dict[str, tuple[str, ...]] = field(default_factory=dict)

    def may_go(self, number: int, digest: str) -> bool:
        """Whether an export of this number is the next one, or the last one over again."""
        return number > self.number or (number, digest) == (self.number, self.digest)


def read_sent(path: Path) -> Sent:
    """The record; a new one where there is none. Raises ``DeploymentError`` for one that cannot be read."""
    try:
        if not path.exists():
            return Sent()
        said = strict_json.load_object(path.read_bytes(), max_bytes=_MAX_BYTES)
        cases = {str(digest): tuple(map(str, of)) for digest, of in said["cases"].items()}
        return Sent(int(said["number"]), str(said["digest"]), cases)
    except (OSError, FormatError, KeyError, TypeError, ValueError, AttributeError) as error:
        raise DeploymentError(f"{path} cannot be read", "restore it from a backup") from error


def write_sent(path: Path, sent: Sent) -> None:
    """Keep the record (0600). Raises ``DeploymentError``."""
    said = {"number": sent.number, "digest": sent.digest, "cases": {one: list(of) for one, of in sent.cases.items()}}
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        write_private(path, json.dumps(said, sort_keys=True).encode())
    except OSError as error:
        raise DeploymentError(f"{path} cannot be written: {error.strerror}", "check free space and rights") from error
