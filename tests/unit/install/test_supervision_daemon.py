"""A real supervisord: starts in order, heals what is killed, stops whole."""

from __future__ import annotations

import os
import pwd
import signal
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from appliance.install.logs import log_tail
from appliance.install.probe import Probe
from appliance.install.services import Service
from appliance.install.startup import start_services, stop_services
from appliance.install.supervision.supervisor import Supervisord
from appliance.site.paths import SitePaths

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

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
print("serving", os.environ["CREDENTIALS_DIRECTORY"], flush=True)
if os.path.exists(path): os.unlink(path)
Server(path, Handler).serve_forever()
"""
WAIT_S = 60


@pytest.fixture
def paths(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[SitePaths]:
    """A site whose environment is this one, with its runtime folder out of the way of real ones."""
    found = SitePaths(tmp_path / "s")
    monkeypatch.setattr(SitePaths, "run", property(lambda self: self.root / "r"))
    for folder in (found.run, found.log("x").parent, found.journal.parent, found.env / "bin"):
        folder.mkdir(parents=True)
    (found.env / "bin" / "supervisord").symlink_to(Path(sys.executable).with_name("supervisord"))
    yield found
    Supervisord(found).close()


def service(paths: SitePaths, name: str, after: tuple[str, ...] = ()) -> Service:
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
    manager = Supervisord(paths)
    for path, text in manager.files(services, "demo").items():
        path.write_text(text)
    return manager


def until(holds: Callable[[], bool]) -> bool:
    deadline = time.monotonic() + WAIT_S
    while time.monotonic() < deadline:
        if holds():
            return True
        time.sleep(0.05)
    return False


def test_services_come_up_in_order_and_only_once(paths: SitePaths) -> None:
    first, second = service(paths, "a"), service(paths, "b", after=("a",))
    write(paths, first, second)
    heard: list[tuple[int, int]] = []
    assert start_services(paths, [first, second], lambda n, of: heard.append((n, of))) == ("a", "b")
    assert heard[0] == (0, 2)
    assert heard[-1] == (2, 2)
    assert start_services(paths, [first, second], lambda _n, _of: None) == ()
    assert "serving 100% of 'it' \"here\"" in log_tail(first.log)


def test_a_killed_service_is_healed(paths: SitePaths) -> None:
    one = service(paths, "a")
    manager = write(paths, one)
    start_services(paths, [one], lambda _n, _of: None)
    pid = manager.states([one])["a"].pid
    assert pid is not None
    os.kill(pid, signal.SIGKILL)
    assert until(lambda: manager.states([one])["a"].pid not in {None, pid})
    assert start_services(paths, [one], lambda _n, _of: None) in {(), ("a",)}


def test_a_killed_supervisord_leaves_nothing_running_and_up_starts_again(paths: SitePaths) -> None:
    one = service(paths, "a")
    manager = write(paths, one)
    start_services(paths, [one], lambda _n, _of: None)
    pid = manager.states([one])["a"].pid
    os.kill(int((paths.run / "supervisord.pid").read_text()), signal.SIGKILL)
    assert until(lambda: not Path(f"/proc/{pid}").exists())
    assert manager.states([one])["a"].state == "stopped"
    assert start_services(paths, [one], lambda _n, _of: None) == ("a",)


def test_stopping_takes_every_service_and_then_the_manager(paths: SitePaths) -> None:
    one = service(paths, "a")
    manager = write(paths, one)
    start_services(paths, [one], lambda _n, _of: None)
    pid = manager.states([one])["a"].pid
    stop_services(paths, [one])
    assert not Path(f"/proc/{pid}").exists()
    manager.close()
    assert manager.states([one])["a"].state == "stopped"


def test_a_changed_definition_is_taken_up_without_restarting_the_manager(paths: SitePaths) -> None:
    one = service(paths, "a")
    manager = write(paths, one)
    start_services(paths, [one], lambda _n, _of: None)
    before = (paths.run / "supervisord.pid").read_text()
    pid = manager.states([one])["a"].pid
    two = service(paths, "b")
    write(paths, one, two)
    assert start_services(paths, [one, two], lambda _n, _of: None) == ("b",)
    assert (paths.run / "supervisord.pid").read_text() == before
    assert manager.states([one])["a"].pid == pid


def test_the_managers_socket_is_its_owners_alone(paths: SitePaths) -> None:
    one = service(paths, "a")
    write(paths, one)
    start_services(paths, [one], lambda _n, _of: None)
    assert (paths.run / "supervisor.sock").stat().st_mode & 0o777 == 0o700
