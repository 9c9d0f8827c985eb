"""Hosts of a cluster tell the log what they saw: each for itself, of its own kinds, and nobody else tells anything."""

from __future__ import annotations

import contextlib
import json
import os
import socket as sockets
import ssl
import tempfile
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from appliance.install import ca
from appliance.link.check import turned_away
from appliance.link.ways import DOMAIN
from tests.audit.bench import Bench
from tests.audit.collectors import HOSTS, collecting
from tests.unit.roles.observers import deliver

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.audit.collectors import Site

CALL = {"kind": "call", "at": "2026-11-26T12:00:00.000001Z/0", "verb": "create", "user": "kubernetes-admin"}
REFUSED = {
    "kind": "refused", "number": "0123456789abcdef/1", "by": "policy", "source": "default/outsider",
    "destination": "203.0.113.9", "protocol": "tcp", "port": 443, "packets": 3,
}  # fmt: skip


@pytest.fixture(scope="module")
def site() -> Iterator[Site]:
    with tempfile.TemporaryDirectory(prefix="collector-") as name:
        folder = Path(name)
        with collecting(Bench(folder / "log"), folder, {"cluster": os.getuid()}) as made:
            yield made


@pytest.fixture(autouse=True)
def named(site: Site) -> None:
    """Each test begins with both hosts."""
    site.name_hosts(HOSTS)


@pytest.fixture
def before(site: Site) -> Iterator[dict[str, dict[str, Any]]]:
    """The log's entries, which are to be the same afterwards."""
    found = site.entries()
    yield found
    assert site.entries() == found


def own(site: Site, before: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """Kinds and hosts of the entries that came since, by their ids."""
    found = site.entries()
    return {entry_id: found[entry_id]["unmapped"]["sovereign"] for entry_id in found.keys() - before.keys()}


@pytest.mark.parametrize("link", ["gateway", "audit", "node3.hosts", "hosts", "node1", "xnode1.hosts"])
@pytest.mark.usefixtures("before")
def test_a_certificate_that_is_of_no_host_of_the_site_tells_nothing(site: Site, link: str) -> None:
    with pytest.raises(deliver.RefusedError, match="of no host of the site"):
        site.deliver([REFUSED], link)


@pytest.mark.usefixtures("before")
def test_a_certificate_of_another_authority_tells_nothing_whatever_its_name(site: Site) -> None:
    stranger = ca.create_links_authority("another", DOMAIN, ca.utc_now())
    with pytest.raises((ssl.SSLError, ConnectionError)):
        deliver.deliver([REFUSED], f"127.0.0.1:{site.port}", site.files("node1.hosts", stranger))


@pytest.mark.usefixtures("before")
def test_who_shows_no_certificate_is_cut_off(site: Site) -> None:
    assert turned_away("127.0.0.1", site.port)


@pytest.mark.usefixtures("before")
def test_a_host_that_left_the_site_is_turned_away_from_the_next_connection_on(site: Site) -> None:
    site.name_hosts({"node2.hosts": "worker"})
    with pytest.raises(deliver.RefusedError, match="of no host of the site"):
        site.deliver([REFUSED], "node1.hosts")


def test_a_host_does_not_believe_another_s_collector(site: Site) -> None:
    """Whoever answers shows the certificate of the log's link; a host's own does not do."""
    folder = site.files("node2.hosts")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(folder / "link.pem", folder / "link.key")
    with sockets.create_server(("127.0.0.1", 0)) as listener:
        listener.settimeout(10)
        heard: list[bytes] = []

        def answer() -> None:
            with contextlib.suppress(OSError), context.wrap_socket(_accepted(listener), server_side=True) as link:
                heard.append(link.recv(1))

        answering = threading.Thread(target=answer, daemon=True)
        answering.start()
        with pytest.raises(ssl.SSLCertVerificationError):
            deliver.deliver([REFUSED], f"127.0.0.1:{listener.getsockname()[1]}", site.files("node1.hosts"))
        answering.join(20)
    assert not answering.is_alive()
    assert heard in ([], [b""])


def _accepted(listener: sockets.socket) -> sockets.socket:
    found, _ = listener.accept()
    found.settimeout(10)
    return found


def test_a_worker_tells_no_calls_of_the_api_and_its_attempt_is_told(site: Site) -> None:
    before = site.entries()
    reading = {"kind": "reading", "of": "calls", "at": "x/0", "why": "begun", "size": 0}
    site.deliver([CALL, reading, REFUSED], "node2.hosts")
    told = own(site, before)
    assert sorted(one["kind"] for one in told.values()) == ["cluster_reading", "cluster_reading", "network_refusal"]
    assert [one["why"] for one in told.values() if one["kind"] == "cluster_reading"] == ["not acceptable"] * 2


def test_a_host_speaks_for_itself_whatever_it_says(site: Site) -> None:
    before = site.entries()
    for more in ({"host": "node1"}, {"number": "0123456789abcdef/7"}):
        site.deliver([{**REFUSED, **more}], "node2.hosts")
    told = own(site, before)
    assert {one["host"] for one in told.values()} == {"node2"}
    assert all(entry_id.startswith("cluster/node2/") for entry_id in told)


@pytest.mark.parametrize("kind", ["request", "sign_in", "install_step", "log_pruned", "api_call", ""])
def test_a_host_writes_no_kind_of_anybody_else_s(site: Site, kind: str) -> None:
    before = site.entries()
    site.deliver([{**CALL, "kind": kind}, {"id": "gateway/x", "event": {"unmapped": {"sovereign": {"kind": kind}}}}])
    assert {one["kind"] for one in own(site, before).values()} <= {"cluster_reading"}


def test_a_caller_s_own_number_hides_no_other_call(site: Site) -> None:
    """`Audit-ID` is the caller's to choose: two calls that bear one number are two entries."""
    before = site.entries()
    site.deliver([{**CALL, "call": "mine", "at": "t/0", "verb": "get"}])
    site.deliver([{**CALL, "call": "mine", "at": "t/900", "verb": "delete"}])
    told = own(site, before)
    assert sorted(one["verb"] for one in told.values()) == ["delete", "get"]


def test_what_was_told_is_not_told_otherwise_afterwards(site: Site) -> None:
    site.deliver([{**CALL, "at": "u/0", "verb": "delete"}])
    before = site.entries()
    site.deliver([{**CALL, "at": "u/0", "verb": "get"}])
    assert site.entries() == before


@pytest.mark.parametrize(
    "item",
    [
        None, 7, "x", [], {}, {"kind": "call"}, {**CALL, "at": "../../x"}, {**CALL, "user": "x" * 3000},
        {**CALL, "code": "200"}, {**CALL, "more": 1}, {**REFUSED, "packets": -1}, {**REFUSED, "port": 10**9},
        {**REFUSED, "number": "x"}, {"kind": "reading", "of": "calls", "at": "x/0", "why": "\x1b[2J", "size": 1},
    ],
    ids=lambda item: json.dumps(item)[:40],
)  # fmt: skip
def test_an_item_that_is_none_becomes_an_entry_that_says_so_and_holds_nothing_up(site: Site, item: Any) -> None:
    before = site.entries()
    site.deliver([item, {**CALL, "at": f"v{abs(hash(json.dumps(item)))}/0"}])
    told = own(site, before)
    assert sorted(one["kind"] for one in told.values()) == ["api_call", "cluster_reading"]


def test_escapes_and_controls_lie_in_the_log_as_escapes_of_json(site: Site) -> None:
    """So that whoever prints the files of the log prints none of them."""
    hostile = "\x1b]0;x\x07\n\u202e\x9b2J\x00"
    site.deliver([{**CALL, "at": "w/0", "user": hostile, "agent": hostile, "name": hostile, "verb": hostile}])
    raw = b"".join(site.bench.snapshot().values())
    assert b"\x1b]0;x" not in raw
    assert site.entries()["cluster/node1/call/w/0"]["actor"]["user"]["uid"] == hostile
