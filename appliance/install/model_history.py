"""What has served under a name, and what does now: decisions, and releases whose model served without one."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from appliance.errors import UsageError
from appliance.install.journal import read_journal
from appliance.models.errors import ArtifactError, ModelRefusedError
from appliance.models.serving import Choice, Decisions

if TYPE_CHECKING:
    from appliance.models.shelf import Damaged, Held
    from appliance.site.paths import SitePaths


def serving_now(models: tuple[Held, ...], made: Decisions, name: str) -> Held | None:
    """Which of ``models`` serves as ``name``."""
    choice = made.in_force
    if choice is not None and not choice.from_release:
        return next((held for held in models if held.is_choice(choice)), None)
    return next((held for held in models if held.name == name and held.from_release), None)


def served_before(now: Held | None, made: Decisions) -> str:
    """Digest of the weights that serve ``now``, or that were decided for where their bundle is damaged; or empty."""
    if now is not None:
        return now.weights
    choice = made.in_force
    return choice.weights if choice is not None and not choice.from_release else ""


def history(paths: SitePaths, made: Decisions, now: Held | None) -> Decisions:
    """``made``, and after it what serves ``now`` where no decision is about that: it came with a release."""
    if now is None or (made.in_force is not None and now.is_choice(made.in_force)):
        return made
    since, by = activation(paths)
    return replace(made, made=(*made.made, choice_of(now, since, by, f"release {now.bundle.version}")))


def former(models: tuple[Held, ...], served: Decisions, name: str, damaged: tuple[Damaged, ...] = ()) -> Held:
    """The last model that served as ``name`` and is another than the one that does now, the last of ``served``.

    Raises ``UsageError`` where there was none, ``ArtifactError`` where the site does not hold it any more, or only in
    one of the ``damaged`` bundles, and ``ModelRefusedError`` where its use was ended.
    """
    present = served.in_force
    before = next((c for c in reversed(served.made) if present is not None and c.digest != present.digest), None)
    if before is None:
        raise UsageError(f"no other model has served as {name} here", "`sovereign model promote` lets one")
    held = next((held for held in models if held.is_choice(before)), None) or _in_release(models, before, name)
    broken = next((d for d in damaged if not before.from_release and d.version == before.version), None)
    if broken is not None:
        raise ArtifactError(f"the model that served before is lost: {broken}", broken.mend)
    if held is None:
        raise ArtifactError(
            f"the model that served before, {before.digest[:19]}…, came with release {before.version}, "
            "which is not active any more",
            "`sovereign model list`, then promote one",
        )
    if held.withdrawn is not None:
        raise ModelRefusedError(f"{name}: {held.withdrawn}", "`sovereign model list`, then promote another")
    return held


def _in_release(models: tuple[Held, ...], before: Choice, name: str) -> Held | None:
    """The same artifact, as the active release brings it again."""
    same = (held for held in models if held.from_release and held.name == name)
    return next((held for held in same if before.from_release and str(held.artifact.digest) == before.digest), None)


def choice_of(held: Held, since: str, by: str, reason: str) -> Choice:
    """The decision that ``held`` serves."""
    return Choice(held.shelf, held.bundle.version, str(held.artifact.digest), held.weights, since, by, reason)


def activation(paths: SitePaths) -> tuple[str, str]:
    """When the active release was installed and by whom, as far as this process may know."""
    try:
        records = read_journal(paths.journal)
    except OSError:
        return "", ""
    last = next((r for r in reversed(records) if r.step == "activate" and r.state == "done"), None)
    return (last.at, last.detail.get("by", "")) if last is not None else ("", "")
