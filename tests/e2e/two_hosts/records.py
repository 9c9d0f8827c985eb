"""The audit log of a journey's cluster, copied from the host that has it, and what fills an API server's own log."""

from __future__ import annotations

import base64
import json
import shutil
from typing import TYPE_CHECKING, Any

from appliance.audit.checkpoint import read_vkeys
from appliance.audit.tiles import TileReader
from appliance.audit.verify import verify_log

if TYPE_CHECKING:
    from pathlib import Path

    from tests.e2e.two_hosts.administrator import Desk

# Asks the API on this host so often for something that is noted, each time by an address of 700 kB.
FILL = r"""
import base64, http.client, pathlib, re, ssl, sys, tempfile
admin = pathlib.Path("/etc/kubernetes/admin.conf").read_text()
def held(name):
    return base64.b64decode(re.search(name + r": (\S+)", admin)[1]).decode()
with tempfile.NamedTemporaryFile("w", suffix=".pem") as pem:
    pem.write(held("client-certificate-data") + held("client-key-data"))
    pem.flush()
    context = ssl.create_default_context(cadata=held("certificate-authority-data"))
    context.load_cert_chain(pem.name)
host, port = re.search(r"server: https://([0-9.]+):(\d+)", admin).groups()
for number in range(int(sys.argv[1])):
    link = http.client.HTTPSConnection(host, int(port), context=context, timeout=60)
    link.request("GET", f"/api/v1/namespaces/default/secrets?number={number}&" + "x" * 700_000)
    answer = link.getresponse()
    answer.read()
    link.close()
print(answer.status)
"""


def log_copy(desk: Desk, name: str, host: str = "node2") -> Path:
    """A copy of the log as it is now, from the host that has it."""
    copied = desk.folder / name
    shutil.rmtree(copied, ignore_errors=True)
    tar = desk.lab.host(host).inside(["tar", "-C", "/var/lib/sovereign/volumes/audit/log", "-cf", "-", "."])
    desk.run(["sh", "-c", f'mkdir {copied} && "$@" | tar -C {copied} -xf -', "sh", *tar])
    return copied


def entries(desk: Desk, kind: str) -> list[dict[str, Any]]:
    """What is ours in every entry of ``kind``, of a log that verifies."""
    found: list[dict[str, Any]] = []
    keys = read_vkeys(desk.site / "policies/audit-vkeys")
    verify_log(log_copy(desk, "entries"), vkeys=keys, visit=lambda _, raw: found.extend(map(json.loads, raw)))
    ours = (one["unmapped"]["sovereign"] for one in found)
    return [one for one in ours if one["kind"] == kind]


def observed(desk: Desk) -> dict[int, dict[str, Any]]:
    """Entries of what hosts observed, by position, of a log that verifies."""
    copied = log_copy(desk, "observed")
    report = verify_log(copied, vkeys=read_vkeys(desk.site / "policies/audit-vkeys"))
    tiles = TileReader(copied, report.head.size - report.journaled)
    found = {at: json.loads(tiles.entry(at)) for at in range(report.head.size - report.journaled)}
    kinds = ("api_call", "network_refusal", "cluster_reading")
    return {at: one for at, one in found.items() if one["unmapped"]["sovereign"]["kind"] in kinds}


def root_of(log: Path, desk: Desk, size: int) -> str:
    """Of the first entries of a log that verifies."""
    report = verify_log(log, vkeys=read_vkeys(desk.site / "policies/audit-vkeys"))
    assert report.size >= size
    return base64.b64encode(TileReader(log, size).root()).decode()
