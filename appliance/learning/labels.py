"""Labels for a calibration, from results of evaluations: which answers were right. Pure.

Left out are cases that check no statement (``refusal``, ``language``) and answers that decline: they claim nothing.
What people say of answers, and what experts rule, is no label by itself: people send what failed, so among what they
sent hardly anything is right, and a calibration on it would call every answer wrong. A ruling counts through the case
that the expert makes of it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from appliance.learning.calibration import NO_ADAPTER, Label
from appliance.learning.confidence import Signal
from appliance.learning.errors import CalibrationError

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator

    from appliance.learning.results import Results, Row

_CHECKED = frozenset({"exact", "contains", "cited"})
RIGHT = 1.0
"""From this score on an answer is right."""


def answered_by(results: Iterable[Results], groups: Collection[str] = ()) -> tuple[str, str]:
    """Digests of the one model and the one adapter (or ``none``) that gave the answers.

    Raises ``CalibrationError`` where there are several, or no answer that can be a label.
    """
    found = sorted({(str(row.model), row.adapter or NO_ADAPTER) for row in _rows(results, groups)})
    if not found:
        raise CalibrationError(
            "no answer here can be a label", "evaluate again: older results do not say what was answered under what"
        )
    if len(found) > 1:
        raise CalibrationError(
            f"answers of {len(found)} models or adapters are no one calibration",
            "name groups of one with --group, and results of what is in force",
        )
    return found[0]


def labels(results: Iterable[Results], right: float = RIGHT, groups: Collection[str] = ()) -> list[Label]:
    """A label for each answer, of ``groups`` or of all; the same answer in two files is one label."""
    by_entry = {(row.key, row.entry): row for row in _rows(results, groups)}
    return [
        Label(
            case=row.case,
            signal=Signal(**(row.signal or {})),
            right=row.score >= right,
            language=row.language,
            group=row.group,
            setting=row.setting or "",
        )
        for row in by_entry.values()
    ]


def _rows(results: Iterable[Results], groups: Collection[str]) -> Iterator[Row]:
    for one in results:
        for row in one.rows:
            usable = row.signal is not None and row.setting is not None and row.kind in _CHECKED and not row.declined
            if usable and (not groups or row.group in groups):
                yield row
