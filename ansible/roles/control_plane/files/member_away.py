"""Takes members out of etcd by name, from a host that is one and stays one; prints the names that were there.

Runs on a host, from stdin. Ends with what etcd said where it refuses, as it does where it hears too few of those that
would be left. `--list` takes none out and prints all names.
"""

import json
import subprocess
import sys
from typing import Any

PKI = "/etc/kubernetes/pki/etcd"
ETCDCTL = (
    *("etcdctl", "--endpoints=https://127.0.0.1:2379", f"--cacert={PKI}/ca.crt"),
    *(f"--cert={PKI}/healthcheck-client.crt", f"--key={PKI}/healthcheck-client.key", "--command-timeout=30s"),
)


def told(*arguments: str) -> str:
    """What `etcdctl` prints."""
    done = subprocess.run([*ETCDCTL, *arguments], check=False, capture_output=True, text=True)
    if done.returncode != 0:
        sys.exit(f"etcd: {(done.stderr or done.stdout).strip()}")
    return done.stdout


def members() -> "list[dict[str, Any]]":
    """What etcd knows of its members."""
    return list(json.loads(told("member", "list", "--write-out=json", "--hex"))["members"])


def named(names: "list[str]") -> "dict[str, str]":
    """Identifiers of the members of these names; one that never started has no name, but an address."""
    addresses = {name.rpartition("=")[2]: name.partition("=")[0] for name in names}
    found = {}
    for member in members():
        places = {url.removeprefix("https://").rpartition(":")[0] for url in member.get("peerURLs", ())}
        name = member.get("name") or next((addresses[place] for place in places if place in addresses), "")
        if name in addresses.values():
            found[name] = str(member["ID"])
    return found


if sys.argv[1:] == ["--list"]:
    sys.stdout.write(json.dumps(sorted(member.get("name", "") for member in members())))
else:
    gone = named(sys.argv[1:])  # each as NAME=ADDRESS
    for identifier in gone.values():
        told("member", "remove", identifier)
    sys.stdout.write(json.dumps(sorted(gone)))
