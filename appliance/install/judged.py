"""What groups were answered under, and which changes a gate let pass: kept so that site.yaml brings no other.

A group whose change a gate judged once is held to the gate from then on: a site.yaml that changes what its people are
answered under (``learning.answering``) is refused, unless the gate let that very change pass, or it was in force
before. ``learning.ungated`` frees a group, in the file whose every version the log knows. A group that nobody evaluates
has no gate that could judge.

The record is the operator's, as site.yaml is: it keeps a mistake from going to people, and no operator from anything.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from airgap_bundle import strict_json
from airgap_bundle.errors import FormatError
from appliance.errors import DeploymentError
from appliance.learning.answering import brought_by, parts_of, unjudged
from appliance.learning.errors import GateRefusedError
from appliance.learning.weights import known_after
from appliance.site.load import load_site
from appliance.site.secrets import write_private

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence
    from pathlib import Path

    from appliance.learning.weights import JudgedWeights
    from appliance.site.config import SiteConfig
    from appliance.site.paths import SitePaths
    from appliance.site.rolling import Change

_MAX_BYTES = 64 << 20
_KEPT = 20
"""Values of a part that are remembered, the latest first."""
_HINT = (
    "name the change under learning.changes, `sovereign learn evaluate` without and with --change, then `sovereign "
    "learn gate`; or name the group under learning.ungated. Nothing was changed; where the installed site.yaml itself "
    "was edited, put its former words back, for services read it when they start"
)

Values = dict[str, tuple[str, ...]]


class Judged(BaseModel):
    """Of one group: values that each part ``held``, those that a gate let pass, and whether one ever judged.

    ``weights``: digests by the model's name, of those that a gate let pass or found in force at first. Where they come
    under the same name nothing asks for a gate beforehand; `status` says that none knows them (``gate_warnings``).
    What a later release noted besides is kept: whoever goes back to this one is held to their gate as before.
    """

    model_config = ConfigDict(extra="allow", frozen=True)

    held: Values = {}
    passed: Values = {}
    weights: Values = {}
    ever: bool = False


class _Record(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)

    schema_version: Literal[1] = Field(alias="schema", default=1)
    groups: dict[str, Judged]


def check(paths: SitePaths, site: SiteConfig) -> None:
    """Raise ``GateRefusedError`` where ``site`` changes what a group that is held to the gate is answered under.

    Raises ``DeploymentError`` for a record that cannot be read.
    """
    if found := unjudged_parts(read(paths.judged), site):
        raise GateRefusedError(refusal(found), _HINT)


def unjudged_parts(record: Mapping[str, Judged], site: SiteConfig) -> dict[str, list[str]]:
    """By group what ``site`` changes and no gate let pass, of groups that are held to one. Pure."""
    held = {
        group: known
        for group in site.groups
        if (known := record.get(group.name)) and known.ever and group.name not in site.learning.ungated
    }
    found = {one.name: unjudged(known.held, known.passed, parts_of(site, one)) for one, known in held.items()}
    return {name: parts for name, parts in found.items() if parts}


def refusal(found: Mapping[str, Sequence[str]]) -> str:
    """``found`` in words."""
    told = "; ".join(f"{name}: {', '.join(parts)}" for name, parts in found.items())
    return f"site.yaml changes what no gate let pass: {told}"


def note(paths: SitePaths, site: SiteConfig) -> None:
    """Keep what is in force now, before what was, which may come back. Raises ``DeploymentError``."""
    record = read(paths.judged)
    now = {group.name: parts_of(site, group) for group in site.groups}
    for group, parts in now.items():
        known = record.get(group, Judged())
        record[group] = known.model_copy(update={"held": _with(known.held, parts)})
    _write(paths.judged, record)


def begin(paths: SitePaths, installed: Path) -> None:
    """Keep what is in force where there is no record yet: a site comes from a release that kept none.

    Raises ``DeploymentError``, and ``SiteFileError`` for the site file ``installed``.
    """
    if not paths.judged.exists() and installed.exists():
        note(paths, load_site(installed))


def decided(  # noqa: PLR0913 - what was judged, and how it ended
    paths: SitePaths,
    site: SiteConfig,
    groups: Collection[str],
    change: Change | None,
    *,
    passed: bool,
    weights: JudgedWeights | None = None,
) -> None:
    """A gate judged answers of ``groups``, and ``change``, if they were given under it. Raises ``DeploymentError``.

    A change, or ``weights``, that passed once and did not the next time did not pass. Of a group that was not judged
    before, what ``site`` says now was in force, whether an installation got so far as to note it or not.
    """
    record = read(paths.judged)
    for group in site.groups:
        if group.name not in groups:
            continue
        known = record.get(group.name, Judged())
        held = known.held if known.ever else _with(known.held, parts_of(site, group))
        brought = brought_by(site, change) if change is not None and change.group == group.name else {}
        now = _with(known.passed, brought) if passed else _without(known.passed, brought)
        after = {} if weights is None else {"weights": _bounded(known_after(known.weights, weights))}
        record[group.name] = known.model_copy(update={"held": held, "passed": now, "ever": True, **after})
    _write(paths.judged, record)


def read(path: Path) -> dict[str, Judged]:
    """The record by group; empty where there is none. Raises ``DeploymentError`` for one that cannot be read."""
    try:
        said = strict_json.load_object(path.read_bytes(), max_bytes=_MAX_BYTES)
        return dict(_Record.model_validate(said).groups)
    except FileNotFoundError:
        return {}
    except OSError as error:
        raise DeploymentError(f"{path} cannot be read: {error.strerror}", "act as the site's operator does") from error
    except (FormatError, ValidationError) as error:
        raise DeploymentError(
            f"{path}, the record of what gates let pass, is damaged",
            "put a backup's in its place; where it is taken away, no group is held to its gate until that judges again",
        ) from error


def _write(path: Path, record: Mapping[str, Judged]) -> None:
    groups = {name: one.model_dump(mode="json", exclude_defaults=True) for name, one in record.items()}
    said = json.dumps({"schema": 1, "groups": groups}, separators=(",", ":"))
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        write_private(path, said.encode())
    except OSError as error:
        raise DeploymentError(f"{path} cannot be written: {error.strerror}", "check free space and rights") from error


def _bounded(values: Values) -> Values:
    return {name: digests[:_KEPT] for name, digests in values.items()}


def _with(values: Values, now: Mapping[str, str]) -> Values:
    """``values`` with those of ``now`` in front."""
    kept = {part: [one for one in values.get(part, ()) if one != value] for part, value in now.items()}
    return values | {part: (value, *kept[part])[:_KEPT] for part, value in now.items()}


def _without(values: Values, those: Mapping[str, str]) -> Values:
    return values | {part: tuple(one for one in values.get(part, ()) if one != value) for part, value in those.items()}
