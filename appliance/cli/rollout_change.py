"""A change that site.yaml names (`learning.changes`), past the gate by two files of results."""

from __future__ import annotations

from typing import TYPE_CHECKING

from appliance.cli.change_results import digests, read, weights
from appliance.cli.learn_site import enter
from appliance.cli.pack_choice import settled
from appliance.cli.rollout_site import field, planned
from appliance.errors import UsageError
from appliance.gateway.changes import words_digest
from appliance.gateway.looking import Looking
from appliance.gateway.pack_choices import ChoiceStore, chosen_or_none
from appliance.install.judged import decided
from appliance.learning.errors import GateRefusedError
from appliance.learning.gate import decide
from appliance.packs.record import NONE
from appliance.packs.shelf import open_pack

if TYPE_CHECKING:
    from pathlib import Path

    from appliance.cli.rollout_site import Field
    from appliance.gateway.rollout_values import Kind, Rollout
    from appliance.site.config import SiteConfig
    from appliance.site.groups import Group
    from appliance.site.paths import SitePaths
    from appliance.site.rolling import Change


async def begin_change(  # noqa: PLR0913, PLR0917 - what it rests on
    paths: SitePaths, site: SiteConfig, group: str, named: str, files: tuple[Path, Path], passphrase_fd: int | None
) -> Rollout:
    """The rollout of the change ``named``, if the gate passes what was found before and under it.

    The caller holds the site's lock. Order: the gate's decision in the log, the rollout in the log, permit, row.
    Raises ``UsageError`` for results of something else, where a rollout runs or a pack leaves no room for it, and
    ``GateRefusedError``.
    """
    change = next((one for one in site.learning.changes if (one.group, one.name) == (group, named)), None)
    if change is None:
        raise UsageError(f"{named!a} is no change of {group}", "name it under learning.changes in site.yaml")
    before, after = read(files[0]), read(files[1])
    former, made = digests(site, change, before, after)
    async with field(paths, site, passphrase_fd) as open_field:
        await open_field.store.check_none_runs(group)
        await _check_room(open_field, group, change)
    decision = decide(before, after)
    enter(paths, what="gate", target=decision.after, figures=decision.figures(), success=decision.passed)
    found = weights(site, change, before, after, passed=decision.passed)
    decided(paths, site, (group,), change, passed=decision.passed, weights=found)
    if not decision.passed:
        raise GateRefusedError(
            f"the change does not pass: {decision.refusals[0]}", "keep what is in force, and mend the change"
        )
    kind: Kind = change.kind
    async with field(paths, site, passphrase_fd) as open_field:
        begun = planned(site, group, kind, former, made)
        await open_field.enter("create", begun, "start", name=named)
        await open_field.permit(begun, open_field.most(begun.share))
        return await open_field.store.begin(begun)


def check_kept(site: SiteConfig, found: Rollout) -> None:
    """Raise ``UsageError`` unless site.yaml has the change in force, so that its rollout may end."""
    group = next(one for one in site.groups if one.name == found.group)
    if found.kind == "instructions":
        kept = words_digest(group.instructions) == found.change
    elif found.kind == "site_instructions":
        kept = words_digest(site.instructions) == found.change
    elif found.kind == "documents":
        kept = Looking.of(site, group).digest == found.change
    else:
        of_kind = [one for one in site.learning.changes if (one.group, one.kind) == (found.group, found.kind)]
        kept = all(_named(site, group, one) for one in of_kind) and bool(of_kind)
    if not kept:
        raise UsageError(
            "site.yaml does not have the change in force yet",
            "put it in the place of the former one in site.yaml, take other changes of the group's models or adapters "
            "out, run `sovereign install`, and advance again",
        )


def _named(site: SiteConfig, group: Group, change: Change) -> bool:
    """Whether the group lists what a change of a model, or of an adapter, brings, and no more what it replaces."""
    if change.kind == "model":
        return change.by in group.models and change.model not in group.models
    of_model = {one.name: one.adapters for one in site.models}[change.model or ""]
    return [name for name in group.adapters if name in of_model] == ([change.adapter] if change.adapter else [])


async def _check_room(open_field: Field, group: str, change: Change) -> None:
    """Raise ``UsageError`` where the group's pack stands in the place of its instructions, or has an adapter."""
    chosen = chosen_or_none((await settled(open_field.paths, ChoiceStore(open_field.pool))).get(group))
    if chosen == NONE or change.kind in {"documents", "site_instructions"}:
        return
    if change.kind == "instructions":
        raise UsageError(
            f"{group} answers under a pack, whose words stand in the place of its instructions",
            "roll out another pack, or `sovereign pack use none`",
        )
    if (adapter := open_pack(open_field.paths.packs, chosen).adapter) is not None:
        raise UsageError(
            f"{group} answers under a pack whose adapter {adapter.name} was made for {change.model}",
            "roll out a pack without it first",
        )
