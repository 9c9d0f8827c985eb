"""Whether a log grew out of what was seen of it before, and what became of it if not. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING

from appliance.audit.errors import LogForkedError, LogReplacedError, LogRewoundError
from appliance.audit.findings import Finding
from appliance.audit.merkle import consistency_holds

if TYPE_CHECKING:
    from collections.abc import Sequence

    from appliance.audit.checkpoint import Checkpoint


def require_growth(kept: Checkpoint, head: Checkpoint, proof: Sequence[bytes]) -> None:
    """Return when ``head`` is ``kept`` or extends it, as the consistency ``proof`` shows; both were verified before.

    Raises ``LogRewoundError`` for fewer entries than before, ``LogForkedError`` for another history.
    """
    if head.size < kept.size:
        raise LogRewoundError(
            (Finding("rewound", head.size, f"the log signs {head.size} entries, and signed {kept.size} before"),)
        )
    if head.size == kept.size and head.root != kept.root:
        raise LogForkedError((Finding("forked", None, f"the log signed two different sets of {head.size} entries"),))
    if not consistency_holds(kept.size, kept.root, head.size, head.root, proof):
        raise LogForkedError(
            (Finding("forked", None, f"the {head.size} entries do not begin with the {kept.size} signed before"),)
        )


def require_same_beginning(first: bytes | None, now: bytes) -> None:
    """Raises ``LogReplacedError`` when the log's first leaf is not the one that was seen (None: none was yet)."""
    if first is not None and first != now:
        detail = "from its very first entry on this is another log, under the same name and keys"
        raise LogReplacedError((Finding("replaced", 0, detail),))
