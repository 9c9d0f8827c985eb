"""How documents are looked up for a group: by the site's settings, its own, or those rolled out to it. Pure."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    from collections.abc import Mapping

    from appliance.site.config import SiteConfig
    from appliance.site.groups import Group
    from appliance.site.shapes import LookingUp


@dataclass(frozen=True)
class Looking:
    """How many passages an answer is given at most, and what follows where none fits."""

    passages: int = 5
    nothing_fits: Literal["abstain", "answer"] = "abstain"

    @classmethod
    def of(cls, site: SiteConfig, group: Group) -> Looking:
        """What is in force for ``group``: its own settings, and the site's where it has none."""
        return cls(site.documents.passages, site.documents.nothing_fits).changed(group.documents)

    def changed(self, said: LookingUp | None) -> Looking:
        """With what ``said`` says in the place of what it was."""
        return self if said is None else replace(self, **said.model_dump(exclude_none=True))

    def told(self) -> Mapping[str, Any]:
        """By name, for the setting that confidence is measured under."""
        return {"passages": self.passages, "nothing_fits": self.nothing_fits}

    @property
    def digest(self) -> str:
        """As receipts of answers from documents, results and rollouts name it."""
        said = json.dumps(self.told(), sort_keys=True, separators=(",", ":"))
        return "sha256:" + hashlib.sha256(said.encode()).hexdigest()


DEFAULT = Looking()
"""As a site has it that says nothing."""
