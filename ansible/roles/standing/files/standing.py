"""Says what stands on a host of what the roles lay there: files by digest, units by state, blobs of images.

Runs on a host, from stdin, with one argument: JSON with `files` (paths, and folders whose files are meant by a `/` at
the end), `units` and `blobs` (a folder). Reads, and changes nothing.

Of a file it says `MODE DIGEST`, of a link `-> TARGET`, of a folder `MODE /`; what is not there, or is another's than
root's, is not told. Of a unit it says `ACTIVE ENABLED` as systemd has it, or `ACTIVE ENABLED stale` where the file on
the disk is not the one that systemd read.
"""

import hashlib
import json
import os
import stat
import subprocess
import sys
from pathlib import Path
from typing import Any

PKI = Path("/etc/kubernetes/pki/etcd")
PIECE = 1 << 20
SHOWN = ("Id", "ActiveState", "UnitFileState", "NeedDaemonReload")


def digest(path: Path) -> str:
    """sha256 of a file's bytes, in hex."""
    hashed = hashlib.sha256()
    with path.open("rb") as file:
        while piece := file.read(PIECE):
            hashed.update(piece)
    return hashed.hexdigest()


def told_of(path: Path) -> Any:
    """What is at a path; None where nothing is that the roles would have laid there."""
    try:
        found = path.lstat()
        if stat.S_ISLNK(found.st_mode):
            return f"-> {os.readlink(path)}"  # noqa: PTH115 - Python 3.9 has no other
        if (found.st_uid, found.st_gid) != (0, 0):
            return None
        mode = f"{stat.S_IMODE(found.st_mode):o}"
        if stat.S_ISDIR(found.st_mode):
            return f"{mode} /"
        return f"{mode} {digest(path)}" if stat.S_ISREG(found.st_mode) else None
    except OSError:
        return None


def files(asked: Any) -> Any:
    """What is at each path, by path."""
    paths = []
    for name in asked:
        folder = Path(name)
        paths += sorted(folder.iterdir()) if name.endswith("/") and folder.is_dir() else []
        paths.append(folder)
    found = {str(path): told_of(path) for path in paths}
    return {path: told for path, told in found.items() if told is not None}


def units(asked: Any) -> Any:
    """The state of each unit, by name."""
    if not asked:
        return {}
    argv = ["systemctl", "show", f"--property={','.join(SHOWN)}", "--", *asked]
    shown = subprocess.run(argv, check=True, capture_output=True, text=True).stdout
    found = {}
    for part in shown.strip().split("\n\n"):
        told = dict(line.split("=", 1) for line in part.splitlines())
        stale = " stale" if told["NeedDaemonReload"] == "yes" else ""
        found[told["Id"]] = f"{told['ActiveState']} {told['UnitFileState']}{stale}"
    return found


def blobs(folder: str) -> Any:
    """Names of a folder's files: none where there is no folder yet."""
    path = Path(folder)
    return sorted(entry.name for entry in path.iterdir() if entry.is_file()) if path.is_dir() else []


def members() -> Any:
    """Names of etcd's members as most of them agree; None where there is no etcd here, or it does not hear them."""
    if not (PKI / "healthcheck-client.crt").exists():
        return None
    argv = [
        *("etcdctl", "--endpoints=https://127.0.0.1:2379", "--command-timeout=10s", f"--cacert={PKI}/ca.crt"),
        *(f"--cert={PKI}/healthcheck-client.crt", f"--key={PKI}/healthcheck-client.key"),
        *("member", "list", "--write-out=json", "--hex"),
    ]
    try:
        done = subprocess.run(argv, check=False, capture_output=True, text=True, timeout=30)
        listed = json.loads(done.stdout)["members"] if done.returncode == 0 else None
    except (OSError, ValueError, KeyError, subprocess.TimeoutExpired):
        return None
    return None if listed is None else sorted(member.get("name", "") for member in listed)


asked = json.loads(sys.argv[1])
told = {
    "files": files(asked["files"]),
    "units": units(asked["units"]),
    "blobs": blobs(asked["blobs"]),
    "members": members(),
    "hosts": Path("/etc/hosts").read_text(errors="replace"),
}
sys.stdout.write(json.dumps(told))
