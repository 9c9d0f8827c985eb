"""Nobody else has the address that the control plane is to share, or nothing is begun."""

from __future__ import annotations

from typing import Any

import pytest

from tests.unit.roles.plugins import load
from tests.unit.roles.test_preflight_findings import OURS, RULES, SHARES, probe

shared_address = load("filter_plugins/shared_address.py")
STRANGER = "02:00:00:00:00:99"


def seen(number: int, *answers: str, site: str = "", **shares: Any) -> dict[str, Any]:
    """What a host's look told, which hears ``answers``."""
    own = {**SHARES, "hardware": [f"02:00:00:00:00:0{number}"], "answers": list(answers), **shares}
    return probe(number, site=site, shares=own)


def judge(stands: bool = False, **probes: dict[str, Any]) -> list[str]:  # noqa: FBT001, FBT002 - a rule
    found = shared_address.findings(probes, {**RULES, "stands": stands})
    assert {(f["host"], f["check"]) for f in found} <= {("all", "shared address")}
    return [f["found"] for f in found]


def test_an_address_that_nobody_has_is_free() -> None:
    assert judge(node1=seen(1), node2=seen(2)) == []


@pytest.mark.parametrize("site", ["", OURS])
def test_a_stranger_who_answers_is_found_once_with_who_hears_it(site: str) -> None:
    assert judge(node1=seen(1), node2=seen(2, STRANGER, site=site), node3=seen(3, STRANGER)) == [
        f"192.168.7.50 is taken: {STRANGER} answers for it, as node2 hears"
    ]


def test_a_host_of_this_site_that_has_it_is_its_holder_and_a_second_one_is_found() -> None:
    """An installation that was cut off left it with the host that began."""
    first, mac = seen(1, site=OURS, holds=True), "02:00:00:00:00:01"
    assert judge(node1=first, node2=seen(2, mac)) == []
    both = judge(node1=seen(1, STRANGER, site=OURS, holds=True), node2=seen(2, mac, STRANGER))
    assert both == [f"192.168.7.50 is taken: {STRANGER} answers for it, as node1 hears"]


def test_a_worker_of_the_site_that_has_it_is_named() -> None:
    found = judge(node1=seen(1, "02:00:00:00:00:02", site=OURS), node2=seen(2, site=OURS, holds=True))
    assert found == ["192.168.7.50 is taken: node2 answers for it, as node1 hears"]


def test_a_host_that_has_it_and_is_not_of_the_site_yet_is_named() -> None:
    found = judge(node1=seen(1, holds=True), node2=seen(2, "02:00:00:00:00:01"))
    assert found == ["192.168.7.50 is taken: node1 answers for it, as node2 hears"]


def test_a_member_that_leaves_and_is_not_looked_at_may_have_it_where_the_api_is_the_cluster_s() -> None:
    hosts = {"node1": seen(1, STRANGER, site=OURS, our_api=True), "node4": seen(4, STRANGER)}
    assert judge(stands=True, **hosts) == []
    assert len(judge(stands=False, **hosts)) == 1  # a restore: the control plane that was declared lost lives


@pytest.mark.parametrize(
    "hosts",
    [
        {"node1": seen(1, STRANGER, site=OURS)},  # something else answers there
        {"node1": seen(1, STRANGER, our_api=True)},  # said by a host that is not of the site
        {"node1": seen(1, STRANGER, site=OURS, our_api=True), "node2": seen(2, site=OURS, holds=True)},
        {"node1": seen(1, "02:00:00:00:00:04", site=OURS, our_api=True), "node4": seen(4)},  # it was read
    ],
)
def test_nobody_vouches_for_a_stranger(hosts: dict[str, dict[str, Any]]) -> None:
    assert len(judge(stands=True, **hosts)) == 1


def test_two_who_answer_are_not_both_vouched_for() -> None:
    other = "02:00:00:00:00:98"
    assert len(judge(stands=True, node1=seen(1, STRANGER, other, site=OURS, our_api=True))) == 2


def test_a_host_that_told_nothing_hides_no_stranger() -> None:
    lost = {"unreachable": True, "msg": "timed out", "address": "192.168.7.2", "node_name": "node2"}
    assert len(judge(node1=seen(1, STRANGER), node2=lost, node3={"stdout": "no json"})) == 1


def test_nothing_is_judged_where_no_address_is_shared(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(RULES, "shared_address", "")
    assert judge(node1=seen(1, STRANGER)) == []
