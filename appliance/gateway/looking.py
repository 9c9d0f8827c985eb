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
    """How many passages an answer is given at most, what follows where none fits, and what meaning counts to words."""

    passages: int = 5
    nothing_fits: Literal["abstain", "answer"] = "abstain"
    meaning: float = 1.0

    @classmethod
    def of(cls, site: SiteConfig, group: Group) -> Looking:
        """What is in force for ``group``: its own settings, and the site's where it has none."""
        own = site.documents
        return cls(own.passages, own.nothing_fits, own.meaning).changed(group.documents)

    def changed(self, said: LookingUp | None) -> Looking:
        """With what ``said`` says in the place of what it was."""
        return self if said is None else replace(self, **said.model_dump(exclude_none=True))

    def told(self) -> Mapping[str, Any]:
        """By name, for the setting that confidence is measured under; what counts as it always did is not told."""
        weighed = {"meaning": self.meaning} if self.meaning != 1 else {}
        return {"passages": self.passages, "nothing_fits": self.nothing_fits, **weighed}

    @property
    def digest(self) -> str:
        """As receipts of answers from documents, results and rollouts name it."""
        said = json.dumps(self.told(), sort_keys=True, separators=(",", ":"))
        return "sha256:" + hashlib.sha256(said.encode()).hexdigest()


DEFAULT = Looking()
"""As a site has it that says nothing."""
