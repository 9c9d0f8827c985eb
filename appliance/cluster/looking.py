"""Asks every host of a cluster how it is, by one task each; a host that does not answer is a reading as well."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from appliance.cluster.events import Failure, Reading
from appliance.cluster.playbook import run
from appliance.cluster.reading import FAILED, checked
from appliance.errors import DeploymentError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from appliance.cluster.events import Event
    from appliance.cluster.standing import Standing

_SECONDS = 180


def look(known: Standing, subjects: str = "state", *, enter: Sequence[str] = ()) -> dict[str, Mapping[str, Any]]:
    """What each host said, by its name in the inventory; of one that did not, ``failed`` and why.

    ``subjects`` is as the role `looking` has it. Raises ``DeploymentError`` when Ansible itself could not run.
    """
    found: dict[str, Mapping[str, Any]] = {}
    failures: dict[str, str] = {}

    def watch(event: Event) -> None:
        if isinstance(event, Reading):
            found[event.host] = checked(event.value)
        elif isinstance(event, Failure):
            failures[event.host] = event.cause

    try:
        told = known.inventory(looking_subjects=subjects)
        run("status.yml", told, watch, enter=enter, timeout_s=_SECONDS)
    except DeploymentError:
        if not found and not failures:
            raise
    return {**{host: {FAILED: cause} for host, cause in failures.items()}, **_answered(found, failures)}


def _answered(found: Mapping[str, Mapping[str, Any]], failures: Mapping[str, str]) -> dict[str, Mapping[str, Any]]:
    """A host that could not be entered hands nothing on; Ansible's word for it is the better one."""
    return {host: value for host, value in found.items() if host not in failures}
