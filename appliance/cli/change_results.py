"""Files of results before a change and under it: read, and held against what site.yaml says of both."""

from __future__ import annotations

from typing import TYPE_CHECKING

from appliance.errors import UsageError
from appliance.gateway.changes import settings_digests, words_digests
from appliance.learning.answering import tried
from appliance.learning.results import MAX_BYTES, Results, read_results
from appliance.learning.weights import JudgedWeights, judged_weights
from appliance.packs.record import NONE

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from appliance.site.config import SiteConfig
    from appliance.site.rolling import Change

_HINT = "evaluate without and with `--change`, for this group alone, to the end"


def read(path: Path) -> Results:
    """The results in a file. Raises ``UsageError`` and ``ResultError``."""
    try:
        with path.open("rb") as opened:
            raw = opened.read(MAX_BYTES + 1)
    except OSError as error:
        raise UsageError(f"{path}: {(error.strerror or 'cannot be read').lower()}") from error
    return read_results(raw, str(path))


def digests(site: SiteConfig, change: Change, before: Results, after: Results) -> tuple[str, str]:
    """Digests of what is in force and of the change, which the results were given under, and nothing else.

    Of words and settings they are site.yaml's, of weights and adapters those of the receipts.
    """
    _check_of(site, change, before, after)
    found = [_answered_under(change, one) for one in (before, after)]
    group = next(one for one in site.groups if one.name == change.group)
    if change.kind == "documents":
        if not all(found):
            raise UsageError("no case was answered from documents", "make cases with `documents: true`, and " + _HINT)
        former, made = settings_digests(site, group, change)
    elif change.model is None:
        former, made = words_digests(site, group, change)
    else:
        if {before.run.model, after.run.model} != {change.model}:
            raise UsageError(f"these are no results of {change.model}", f"evaluate with `--model {change.model}`")
        if any(len(one) != 1 for one in found):
            raise UsageError(f"these are results of several {change.kind}s, or of none", _HINT)
        (former,), (made,) = found
    if found != [{former}, {made}] or former == made:
        raise UsageError("the results were not given under what site.yaml says now", _HINT)
    return former, made


def weights(site: SiteConfig, change: Change | None, before: Results, after: Results, *, passed: bool) -> JudgedWeights:
    """What the gate found of weights: by results under ``change``, or of one model before and after others came.

    Raises ``UsageError`` where more than the weights may be what made the difference.
    """
    if change is None:
        _check_of_model(site, before, after)
    return judged_weights(before, after, change, passed=passed)


def _check_of_model(site: SiteConfig, before: Results, after: Results) -> None:
    if before.run.groups != after.run.groups or len(after.run.groups) > 1:
        raise UsageError("these are results of several groups", "evaluate with --group, one at a time")
    for results in (before, after):
        if (results.run.change, results.run.pack) != (None, None):
            raise UsageError("these are results of something on trial", "evaluate what is in force")
    if before.run.model != after.run.model:
        raise UsageError("these are results of two models", "evaluate the same one before and after")
    _check_alike(site, before, after, None)


def change_digest(site: SiteConfig, groups: Sequence[str], named: str | None) -> str | None:
    """Of the change that is tried for one group, as site.yaml has it now."""
    found = [one for one in site.learning.changes if ([one.group], one.name) == ([*groups], named)]
    return tried(site, found[0]) if found else None


def _check_of(site: SiteConfig, change: Change, before: Results, after: Results) -> None:
    """Raise ``UsageError`` unless both are of this site and group, and differ by the change as it is now alone."""
    for results, named in ((before, None), (after, change.name)):
        if (results.run.groups, results.run.change, results.run.pack) != ((change.group,), named, None):
            raise UsageError(f"these are no results of {change.group} before and under {change.name}", _HINT)
    if after.run.change_digest != tried(site, change):
        raise UsageError(f"{change.name} is another change in site.yaml now than the one that was tried", _HINT)
    _check_alike(site, before, after, change)


def _check_alike(site: SiteConfig, before: Results, after: Results, change: Change | None) -> None:
    """Raise ``UsageError`` unless both are of this site, and differ by ``change``, or a model's weights, alone."""
    other = next((one.run.site for one in (before, after) if one.run.site != site.name), None)
    if other is not None:
        raise UsageError(f"these are results of another site, {other}", _HINT)
    found, under = _beside(change, before), _beside(change, after)
    if any(found[key] != under[key] for key in found.keys() & under.keys()):
        raise UsageError(f"more differs between the results than the {'change' if change else 'weights'}", _HINT)
    if not any(row.score for row in before.rows):
        raise UsageError("nothing was right before, so nothing could become worse", "mend the cases, or ask for more")


def _beside(change: Change | None, results: Results) -> dict[object, tuple[object, ...]]:
    """What each case was answered by and under, but for what ``change`` is of; without one, but for the weights."""
    kind = change.kind if change is not None else "model"
    whose = {"instructions": "group", "site_instructions": "site"}.get(kind)
    return {
        row.key: (
            None if kind == "model" else row.model,
            None if change is not None and change.model is not None else row.adapter,
            None if kind == "documents" else row.looked_up,
            *sorted((name, digest) for name, digest in row.instructions.items() if name != whose),
        )
        for row in results.rows
        if row.entry is not None
    }


def _answered_under(change: Change, results: Results) -> set[str]:
    """What the answers were given under, of what ``change`` is of."""
    rows = [row for row in results.rows if row.entry is not None]
    match change.kind:
        case "instructions":
            return {row.instructions.get("group", NONE) for row in rows}
        case "site_instructions":
            return {row.instructions.get("site", NONE) for row in rows}
        case "model":
            return {str(row.model) for row in rows}
        case "adapter":
            return {row.adapter or NONE for row in rows}
        case "documents":
            return {row.looked_up for row in rows if row.looked_up is not None}
