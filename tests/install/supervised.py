"""A site of small services under a real supervisord. Run as a program it is that site's `sovereign`, which resumes."""

from __future__ import annotations

import json
import os
import pwd
import sys
from pathlib import Path

from appliance.install import resumption
from appliance.install.accounts import accounts_for
from appliance.install.journal import Journal
from appliance.install.probe import Probe
from appliance.install.services import Service
from appliance.install.supervision.supervisor import Supervisord
from appliance.site.load import load_site
from appliance.site.paths import SitePaths

REPOSITORY = Path(__file__).parents[2]
EXAMPLE = REPOSITORY / "appliance" / "install" / "site.example.yaml"
WAIT_S = 60
PROGRAM = """
import http.server, os, signal, socketserver, sys
path = sys.argv[1]
class Server(socketserver.UnixStreamServer):
    allow_reuse_address = True
class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200); self.send_header("Content-Length", "0"); self.end_headers()
    def address_string(self): return "unix"
    def log_message(self, *a): pass
signal.signal(signal.SIGTERM, lambda *a: sys.exit(0))
if len(sys.argv) > 2:  # how much of a file to map, and how much to take
    import mmap
    size = int(sys.argv[2])
    with open(path + ".mapped", "w+b") as file:
        file.truncate(size)
        mapped = mmap.mmap(file.fileno(), size, access=mmap.ACCESS_READ)
        print("mapped", sum(mapped[i] for i in range(0, size, 4096)), flush=True)
    try:
        taken = bytearray(size)
        print("taken", flush=True)
    except MemoryError:
        print("refused", flush=True)
print("serving", os.environ["CREDENTIALS_DIRECTORY"], flush=True)
if os.path.exists(path): os.unlink(path)
Server(path, Handler).serve_forever()
"""


def make_site(root: Path) -> SitePaths:
    """A finished and unsealed installation, as far as supervision looks at one; its environment is this one."""
    paths = SitePaths(root)
    for folder in (paths.run, paths.log("x").parent, paths.journal.parent, paths.env / "bin", paths.credentials("a")):
        folder.mkdir(parents=True)
    paths.site_yaml.write_bytes(EXAMPLE.read_bytes())
    paths.users.write_text(json.dumps(dict(accounts_for(load_site(EXAMPLE)).users)))
    (paths.current / "release.json").write_text('{"version": "1.0.0"}')
    journal = Journal.open(paths.journal)
    journal.append("realm", "done", "")
    journal.close()
    _program(paths.env / "bin" / "supervisord", str(Path(sys.executable).with_name("supervisord")))
    _program(paths.env / "bin" / "python", sys.executable)
    _program(paths.env / "bin" / "sovereign", sys.executable, "-m", "tests.install.supervised")
    return paths


def _program(path: Path, *argv: str) -> None:
    command = " ".join(f"'{word}'" for word in argv)
    path.write_text(f"#!/bin/sh\nPYTHONPATH='{REPOSITORY}' exec {command} \"$@\"\n")
    path.chmod(0o755)


def service(paths: SitePaths, name: str, after: tuple[str, ...] = ()) -> Service:
    """A service that answers on a Unix socket."""
    socket = paths.run / f"{name}.sock"
    program = paths.root / "program.py"
    program.write_text(PROGRAM)
    return Service(
        name=name,
        title=name,
        user=pwd.getpwuid(os.geteuid()).pw_name,
        argv=(sys.executable, str(program), str(socket)),
        env={"PATH": "/usr/bin:/bin", "CREDENTIALS_DIRECTORY": "100% of 'it' \"here\""},
        probe=Probe("unix-http", str(socket)),
        after=after,
        memory_mib=100,
        networked=False,
        writable=(),
        log=paths.log(name),
        start_timeout_s=WAIT_S,
        stop_timeout_s=5,
    )


def write(paths: SitePaths, *services: Service) -> Supervisord:
    """Have the manager's file describe ``services``, which are the site's from now on."""
    manager = Supervisord(paths)
    for path, text in manager.files(services, "demo").items():
        path.write_text(text)
    (paths.root / "services.json").write_text(json.dumps([[s.name, s.after] for s in services]))
    return manager


def main() -> None:
    """`sovereign --site ROOT resume` with this site's services instead of an assistant's."""
    _site, root, command = sys.argv[1:]
    assert command == "resume"
    paths = SitePaths(Path(root))
    known = json.loads((paths.root / "services.json").read_text())
    resumption.site_services = lambda *_: tuple(service(paths, name, tuple(after)) for name, after in known)
    resumption.spool = lambda *_: 0  # there is no audit writer among them
    resumption.resume(paths, print)


if __name__ == "__main__":
    main()
