"""What the site and a group tell the model before anybody speaks. Pure.

Both are operators' words in site.yaml; a pack in force stands in the place of the group's (``packs``), and the group's
brief follows them, as quotations (``memory.briefs``). They come as one system message in front, in the scope of whoever
wrote the last of it, so that the engine computes them once for
everybody they are meant for (``engine.protocol.Scope``). Where a caller of the API sends a system message, theirs
follows in the same one: templates know one at most. Then it is the caller's own.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from appliance.engine.protocol import Message
from appliance.gateway.tools import said

if TYPE_CHECKING:
    from collections.abc import Sequence

    from appliance.engine.protocol import Scope
    from appliance.gateway.history import ChatMessage
    from appliance.site.config import SiteConfig
    from appliance.site.groups import Group


@dataclass(frozen=True)
class Instructions:
    """The site's words, the group's, and its brief; each may be empty.

    ``trial``: a pack or a brief is tried for one request, so what is computed of them is shared with nobody, and what
    stays in memory of those in force is not replaced. ``rolled_out``: the site's words are not what everybody
    at the site is told, but some of one group.
    """

    site: str = ""
    group: str = ""
    brief: str = ""
    trial: bool = False
    rolled_out: bool = False

    @classmethod
    def for_group(cls, site: SiteConfig, group: Group) -> Instructions:
        """What people of ``group`` are answered under."""
        return cls(site.instructions.strip(), group.instructions.strip())

    def site_changed(self, words: str) -> Instructions:
        """With ``words`` in the place of the site's, for some."""
        return replace(self, site=words, rolled_out=True)

    @property
    def text(self) -> str:
        """All of it."""
        return "\n\n".join(part for part in (self.site, self.group, self.brief) if part)

    @property
    def scope(self) -> Scope:
        """Who may share what is computed of it."""
        if self.trial:
            return "user"
        return "group" if self.group or self.brief or self.rolled_out else "site"

    def digests(self) -> dict[str, str]:
        """``sha256:`` of each part that there is, for a receipt: the words themselves may not be for everybody."""
        parts = {"site": self.site, "group": self.group, "brief": self.brief}
        return {who: "sha256:" + hashlib.sha256(text.encode()).hexdigest() for who, text in parts.items() if text}


NO_INSTRUCTIONS = Instructions()


def conversation(messages: Sequence[ChatMessage], instructions: Instructions) -> tuple[Message, ...]:
    """The conversation as the engine is asked, instructions first."""
    asked = [said(message) for message in messages]
    if not instructions.text:
        return tuple(asked)
    if asked and asked[0].role == "system":
        return (Message("system", f"{instructions.text}\n\n{asked[0].content}"), *asked[1:])
    return (Message("system", instructions.text, instructions.scope), *asked)
