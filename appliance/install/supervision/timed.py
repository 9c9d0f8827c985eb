"""What a site runs on timers, for service managers that have them: a command of the operator's, and when."""

from __future__ import annotations

from dataclasses import dataclass

DOCUMENTS, BRIEFS, BACKUP = "documents", "briefs", "backup"
NAMES = (DOCUMENTS, BRIEFS, BACKUP)
"""Every name that a timed command has, or had: what is not wanted any more is found by it."""


@dataclass(frozen=True)
class Timed:
    """``sovereign`` with ``words``, ``when`` as lines of a timer's own section (systemd.timer(5)).

    ``families`` are the kinds of sockets that it opens; ``fine`` is an exit status beside 0 that is no failure.
    """

    name: str
    title: str
    words: tuple[str, ...]
    when: tuple[str, ...]
    families: str = "AF_UNIX"
    fine: int | None = None
