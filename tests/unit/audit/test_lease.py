"""Who may sign on a cluster: never two at once, by clocks that nobody has to believe."""

from __future__ import annotations

import json
import ssl
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import httpx
import pytest

from appliance.audit.errors import AuditUnavailableError
from appliance.audit.lease import Lease, Terms
from appliance.audit.lease_api import LeaseApi
from appliance.audit.lease_pod import lease_of_pod
from appliance.audit.log import TileLog
from appliance.errors import DeploymentError
from tests.audit.api_server import PATH, ApiServer

if TYPE_CHECKING:
    from pathlib import Path

    from appliance.audit.lease_note import HolderNote
    from tests.audit.bench import Bench


@dataclass
class World:
    """One API server, one time for everybody, and what a question takes."""

    api: ApiServer = field(default_factory=ApiServer)
    now: float = 1000.0
    takes: float = 0.0
    ended: list[str] = field(default_factory=list)

    def lease(self, holder: str, lone: HolderNote | None = None) -> Lease:
        http = httpx.Client(base_url="http://api", transport=httpx.MockTransport(self._answer))
        api = LeaseApi(http, PATH)
        return Lease(api, holder, lone, clock=lambda: self.now, ended=lambda: self.ended.append(holder))

    def _answer(self, request: httpx.Request) -> httpx.Response:
        if not self.api.reachable:
            raise httpx.ConnectError("no route")
        self.now += self.takes
        if self.api.denies:
            return httpx.Response(self.api.denies)
        if request.method == "GET":
            return httpx.Response(200, json=self.api.read())
        return httpx.Response(200 if self.api.write(json.loads(request.content)) else 409)


def may_sign(lease: Lease) -> bool:
    try:
        lease.require()
    except AuditUnavailableError:
        return False
    return True


def test_nobody_signs_before_they_hold_it_and_one_who_does_until_the_deadline() -> None:
    world = World()
    one, terms = world.lease("a"), Terms()
    assert not may_sign(one)
    assert one.step()
    world.now += terms.deadline - 0.01
    assert may_sign(one)
    world.now += 0.02
    assert not may_sign(one)
    assert one.step()  # nobody took it: it goes on
    assert may_sign(one)


def test_a_renewal_counts_from_when_it_was_begun() -> None:
    world = World(takes=15.0)
    one, begin = world.lease("a"), world.now
    assert one.step()
    world.now = begin + Terms().deadline
    assert not may_sign(one)


def test_another_waits_out_what_they_see_and_never_are_there_two() -> None:
    world = World()
    one, other = world.lease("a"), world.lease("b")
    assert one.step()
    for second in range(600):
        world.now += 1.0
        if second < 100 and second % 5 == 0:
            assert one.step()
        other.step()
        assert not (may_sign(one) and may_sign(other))
    assert may_sign(other) or other.step()
    assert not one.step()
    assert one.lost
    assert world.ended == ["a"]
    assert not may_sign(one)


def test_who_lost_it_never_signs_again_though_it_is_free() -> None:
    world = World()
    one, other = world.lease("a"), world.lease("b")
    assert one.step()
    world.now += 1.0
    assert not other.step()
    world.now += Terms().duration
    assert other.step()
    assert not one.step()
    other.release()
    assert world.api.holder == ""
    assert not may_sign(one)


def test_times_that_others_wrote_are_not_believed() -> None:
    world = World()
    world.api.spec = {"holderIdentity": "x", "renewTime": "1999-01-01T00:00:00.000000Z", "leaseDurationSeconds": 1}
    one = world.lease("a")
    assert not one.step()
    world.now += Terms().duration - 1
    assert not one.step()
    world.now += 1
    assert one.step()


def test_of_two_who_take_it_at_once_one_has_it() -> None:
    world = World()
    one, other = world.lease("a"), world.lease("b")
    read = other.api.read()
    assert one.step()
    assert not other.api.write(read, {"holderIdentity": "b"})
    assert world.api.holder == "a"


def test_the_same_pod_goes_on_at_once_and_one_that_let_go_is_followed_at_once() -> None:
    world = World()
    assert world.lease("a").step()
    again = world.lease("a")
    assert again.step()
    again.release()
    assert not may_sign(again)
    assert world.lease("b").step()


@pytest.mark.parametrize("terms", [(10.0, 10.0, 1.0), (10.0, 5.0, 5.0), (10.0, 5.0, 0.0)])
def test_terms_in_another_order_are_none(terms: tuple[float, float, float]) -> None:
    with pytest.raises(ValueError, match="renewed before"):
        Terms(*terms)


def test_a_log_without_the_lease_signs_nothing_and_leaves_every_file(bench: Bench) -> None:
    world = World()
    one = world.lease("a")
    assert one.step()
    log = TileLog(bench.directory, bench.origin, bench.keys, fence=one.require)
    bench.logs.append(log)
    log.append(bench.records(0, 1))
    log.enter(bench.records(2))
    before = bench.snapshot()
    world.now += Terms().deadline
    for act in (log.enter, log.append):
        with pytest.raises(AuditUnavailableError, match="renew its lease"):
            act(bench.records(3))
    after = bench.snapshot()
    assert {n: d for n, d in after.items() if n[:5] != "tile/" and n != "checkpoint"} == {
        n: d for n, d in before.items() if n[:5] != "tile/" and n != "checkpoint"
    }
    world.api.reachable = False
    with pytest.raises(httpx.ConnectError):
        one.step()
    world.api.reachable = True
    assert one.step()
    assert log.enter(bench.records(3)) == [3]
    log.settle()
    assert bench.verify().size == 4


def test_a_log_is_not_begun_without_it(bench: Bench) -> None:
    log = TileLog(bench.directory, bench.origin, bench.keys, fence=World().lease("a").require)
    bench.logs.append(log)
    with pytest.raises(AuditUnavailableError):
        log.open()
    assert bench.snapshot() == {}


@pytest.mark.parametrize("uid", ["1", "2"])
def test_who_was_stopped_while_another_held_it_and_let_go_never_signs_again(uid: str) -> None:
    world = World()
    one, other = world.lease("a"), world.lease("b")
    assert one.step()
    world.now += 1.0
    assert not other.step()
    world.now += Terms().duration
    assert other.step()
    other.release()
    assert world.api.holder == ""
    if uid != world.api.uid:  # the object was removed, and made again
        world.api.spec, world.api.uid = {"leaseTransitions": 1}, uid
    assert not one.step()
    assert one.lost
    assert world.ended == ["a"]
    assert world.api.holder == ""


def test_a_pod_that_was_named_a_lease_and_given_no_way_to_it_does_not_start(tmp_path: Path) -> None:
    pod = {"AUDIT_LEASE": "s/audit/a", "KUBERNETES_SERVICE_HOST": "10.96.0.1", "AUDIT_CONTROL_PLANES": "1"}
    assert lease_of_pod({}, tmp_path, lambda: None) is None
    for named in ("sovereign/audit", "sovereign/audit/", "x"):
        with pytest.raises(DeploymentError, match="names no lease"):
            lease_of_pod(pod | {"AUDIT_LEASE": named}, tmp_path, lambda: None)
    for members in ("", "0", "-1", "one"):
        with pytest.raises(DeploymentError, match="no number of hosts"):
            lease_of_pod(pod | {"AUDIT_CONTROL_PLANES": members}, tmp_path, lambda: None)
    with pytest.raises(DeploymentError, match="no certificate"):
        lease_of_pod(pod, tmp_path, lambda: None)


@pytest.mark.parametrize("members", [1, 3])
def test_the_pod_is_told_whether_the_api_server_outlives_a_host(
    members: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ssl, "create_default_context", lambda cafile: ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT))  # noqa: ARG005 - ssl's own names
    pod = {"AUDIT_LEASE": "s/audit/a_1", "KUBERNETES_SERVICE_HOST": "fd00::1", "AUDIT_CONTROL_PLANES": str(members)}
    made = lease_of_pod(pod, tmp_path, lambda: None)
    assert made is not None
    assert (made.lone is not None) == (members == 1)
    assert made.holder == "a_1"
    made.api.close()
