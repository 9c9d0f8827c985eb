"""Hosts of a cluster without hosts: what ssh and `kubectl exec` would run there is run here, with its places exchanged.

It stands before the command lines that production makes (`Reach.enter`), and takes them as ssh would: what runs is what
the quoted words say. A cut stream, a program that fails and a host that answers something else are asked for by name.
"""

from __future__ import annotations

import json
import sys
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from appliance.cluster.reach import Reach
from appliance.site.cluster import Cluster

if TYPE_CHECKING:
    from pathlib import Path

POD_UID = "0a1b2c3d-0000-4000-8000-0123456789ab"
IDENTITY = "1d" * 16
"""Of the site whose mark the hosts bear."""
_PROGRAM = r"""
import json, os, shlex, subprocess, sys
folder = sys.argv[1]
told = json.load(open(os.path.join(folder, "told.json")))
address, line = sys.argv[-2:]
with open(os.path.join(folder, "calls"), "a") as calls:
    calls.write(json.dumps([address, line]) + "\n")
words = shlex.split(line)
at = next((at for at, word in enumerate(words) if "the mark of this site" in word), None)
if at is not None:  # what looks for the mark runs before anything is said
    looking = words[at - 2:at + 2]
    for here, there in told["places"].items():
        looking = [word.replace(here, there) for word in looking]
    if status := subprocess.run([*looking, "true"]).returncode:
        sys.exit(status)
    words = words[:at - 2] + words[at + 2:]
for sign, answer in told["answers"].items():
    if sign in line:
        sys.stdout.write(answer)
        sys.stdout.flush()
        sys.exit(told["codes"].get(sign, 0))
if "kubectl" in words and "get" in words:
    pods = {"items": [{"metadata": {"name": "keycloak-1"}, "status": {"phase": "Running"}}]}
    sys.stdout.write(json.dumps(pods) if "pods" in words else told["uid"])
    sys.exit(0)
if "kubectl" in words:
    words = words[words.index("--") + 1:]
for here, there in told["places"].items():
    words = [word.replace(here, there) for word in words]
env = {**os.environ, "PATH": os.path.join(folder, "bin") + ":" + os.environ["PATH"]}
cut = next((size for sign, size in told["cuts"].items() if sign in line), None)
if cut is None:
    os.execvpe(words[0], words, env)
done = subprocess.run(words, env=env, stdout=subprocess.PIPE)
sys.stdout.buffer.write(done.stdout[:cut])
"""


@dataclass
class PretendedHosts:
    """Two hosts, ``node1`` with the control plane and ``node2``; ``places`` are exchanged in whatever they run.

    They bear the mark of the site ``identity``. ``answers`` are said instead of running what holds a sign, with an exit
    status of ``codes``; of what holds a sign of ``cuts`` so many bytes come back, and no failure with them. ``bin``
    holds programs that go before the real ones.
    """

    folder: Path
    places: dict[str, str] = field(default_factory=dict)
    answers: dict[str, str] = field(default_factory=dict)
    codes: dict[str, int] = field(default_factory=dict)
    cuts: dict[str, int] = field(default_factory=dict)
    uid: str = POD_UID
    identity: str = IDENTITY

    def __post_init__(self) -> None:
        (self.folder / "bin").mkdir(parents=True)
        (self.folder / "program.py").write_text(_PROGRAM)
        (self.folder / "site.json").write_text(json.dumps({"id": self.identity, "name": "lab"}))
        self.places.setdefault("/etc/sovereign/site.json", str(self.folder / "site.json"))
        self.program("chown", "#!/bin/sh\nexit 0\n")  # nobody but root may give files away

    def program(self, name: str, text: str) -> None:
        path = self.folder / "bin" / name
        path.write_text(text)
        path.chmod(0o755)

    @property
    def enter(self) -> tuple[str, ...]:
        """What goes before each command line, as things are now."""
        told = {name: getattr(self, name) for name in ("places", "answers", "codes", "cuts", "uid")}
        (self.folder / "told.json").write_text(json.dumps(told))
        return (sys.executable, str(self.folder / "program.py"), str(self.folder))

    def reach(self, **fields: object) -> Reach:
        return Reach(described_cluster(**fields), self.folder, self.enter)

    @property
    def calls(self) -> list[tuple[str, str]]:
        """Address and words of each command line so far."""
        path = self.folder / "calls"
        return [tuple(json.loads(line)) for line in path.read_text().splitlines()] if path.exists() else []


def described_cluster(**fields: object) -> Cluster:
    hosts = [
        {"name": "node1", "address": "10.1.0.1", "role": "control-plane"},
        {"name": "node2", "address": "10.1.0.2"},
    ]
    told = {"hosts": hosts, "ssh": {"key": "id", "known_hosts": "known"}, "administration": ["10.1.0.9/32"]}
    return Cluster.model_validate_json(json.dumps({**told, **fields}))
