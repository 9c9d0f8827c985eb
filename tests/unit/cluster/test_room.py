"""A plan says whether people will wait while the assistant's pod is changed, and believes no host more than that."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from appliance.cluster import room
from appliance.cluster.events import Reading
from appliance.cluster.room import NextPod, next_pod
from appliance.errors import DeploymentError

if TYPE_CHECKING:
    from collections.abc import Callable


class Known:
    """Stands for what is known of a cluster."""

    def inventory(self, **options: Any) -> dict[str, Any]:
        return options


def asked(monkeypatch: pytest.MonkeyPatch, said: object, *, together: bool = True) -> NextPod:
    def run(name: str, inventory: dict[str, Any], watch: Callable[[Reading], None], **_: Any) -> dict[str, int]:
        assert (name, inventory) == ("room.yml", {"room_together": True})
        if isinstance(said, Exception):
            raise said
        if said is not None:
            watch(Reading("node1", said))  # type: ignore[arg-type]  # a host may say anything
        return {}

    monkeypatch.setattr(room, "run", run)
    return next_pod(Known(), together=together)  # type: ignore[arg-type]  # of a cluster only the inventory is asked


def test_it_tells_which_of_both_and_why(monkeypatch: pytest.MonkeyPatch) -> None:
    found = asked(monkeypatch, {"surge": 1, "was": 0, "why": "node2 has room for both"})
    assert found.data() == {"next_first": True, "why": "node2 has room for both"}
    assert "nobody waits: node2 has room" in found.told()
    found = asked(monkeypatch, {"surge": 0, "was": 0, "why": "no host has room for both: node1 lacks memory"})
    assert found.first is False
    assert "nobody is answered until then: no host has room" in found.told()


def test_releases_that_share_no_database_are_not_asked_about(monkeypatch: pytest.MonkeyPatch) -> None:
    found = asked(monkeypatch, AssertionError("a host was asked"), together=False)
    assert found == NextPod(first=False, why="the former release cannot read the newer one's database")


@pytest.mark.parametrize(
    "said",
    [
        DeploymentError("node1 does not answer"),
        None,
        {"surge": 2, "why": "plenty"},
        {"surge": True, "why": "plenty"},
        {"why": "plenty"},
        {"failed": "no reason"},
        {"surge": 1, "why": "x" * 5000},
    ],
    ids=["silent", "nothing", "two", "no number", "no answer", "failed", "endless"],
)
def test_what_no_host_can_say_is_told_as_not_known(said: object, monkeypatch: pytest.MonkeyPatch) -> None:
    found = asked(monkeypatch, said)
    assert found.first is None
    assert "is unknown: " in found.told()


def test_a_reason_is_shown_in_plain_characters(monkeypatch: pytest.MonkeyPatch) -> None:
    found = asked(monkeypatch, {"surge": 0, "why": "node1\x1b[2Jlacks\nmemory"})
    assert found.why == "node1?[2Jlacks?memory"
