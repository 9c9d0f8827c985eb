"""One engine under a real supervisord: stopped and started alone, and not waited for when its process ends."""

from __future__ import annotations

import dataclasses
import json
import shutil
import sys
from typing import TYPE_CHECKING

import pytest

from appliance.errors import DeploymentError
from appliance.install import engines as module
from appliance.install.engines import SupervisedEngines
from appliance.install.startup import start_services
from appliance.install.supervision.supervisor import Supervisord
from appliance.site.load import load_site
from appliance.site.paths import engine_service
from tests.install.supervised import make_site, service, write

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from appliance.site.paths import SitePaths

NAME = "tiny"
PROGRAM = """
import http.server, os, signal, socketserver, sys
path, answer = sys.argv[1:3]
body = open(answer, "rb").read()
if body == b"unfit":
    print("cannot load this model", flush=True)
    sys.exit(3)
class Server(socketserver.UnixStreamServer):
    allow_reuse_address = True
class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200); self.send_header("Content-Length", str(len(body))); self.end_headers()
        self.wfile.write(body)
    def address_string(self): return "unix"
    def log_message(self, *a): pass
signal.signal(signal.SIGTERM, lambda *a: sys.exit(0))
if os.path.exists(path): os.unlink(path)
Server(path, Handler).serve_forever()
"""


@pytest.fixture
def paths(tmp_path: Path) -> Iterator[SitePaths]:
    found = make_site(tmp_path / "s")
    yield found
    shutil.rmtree(found.credentials("a").parent, ignore_errors=True)
    Supervisord(found).close()
    shutil.rmtree(found.run)


@pytest.fixture
def engines(paths: SitePaths, monkeypatch: pytest.MonkeyPatch) -> SupervisedEngines:
    """Engines of a site with one, which runs and says what lies in ``answer``."""
    program, answer = paths.root / "engine.py", paths.root / "answer"
    program.write_text(PROGRAM)
    answer.write_text(json.dumps({"receipt": {"digest": "sha256:a5"}}))
    paths.users.write_text("{}")
    plain = service(paths, engine_service(NAME))
    argv = (sys.executable, str(program), plain.probe.target, str(answer))
    engine = dataclasses.replace(plain, argv=argv, start_timeout_s=3600)  # whoever waits for it to end hangs
    manager = write(paths, engine)
    monkeypatch.setattr(module, "site_services", lambda *_: (engine,))
    monkeypatch.setattr(module, "choose_supervision", lambda _: manager)
    start_services(paths, [engine], lambda _ready, _of: None)
    return SupervisedEngines(load_site(paths.site_yaml), paths)


def test_an_engine_is_stopped_and_started_alone_and_says_what_it_serves(
    paths: SitePaths, engines: SupervisedEngines
) -> None:
    assert engines.serves(NAME) == {"digest": "sha256:a5"}
    engines.stop(NAME)
    assert engines.serves(NAME) is None
    engines.stop(NAME)  # nothing runs, and nothing is wrong with that
    (paths.root / "answer").write_text(json.dumps({"receipt": {"digest": "sha256:b6"}}))
    engines.start(NAME)
    assert engines.serves(NAME) == {"digest": "sha256:b6"}


def test_a_process_that_ends_is_told_with_what_it_said_and_not_waited_for(
    paths: SitePaths, engines: SupervisedEngines
) -> None:
    engines.stop(NAME)
    (paths.root / "answer").write_bytes(b"unfit")
    with pytest.raises(DeploymentError, match="does not start") as caught:
        engines.start(NAME)
    assert "cannot load this model" in caught.value.cause
    (paths.root / "answer").write_text(json.dumps({"receipt": {"digest": "sha256:a5"}}))
    engines.stop(NAME)
    engines.start(NAME)
    assert engines.serves(NAME) == {"digest": "sha256:a5"}


@pytest.mark.parametrize("body", [b"", b"[]", b"{}", b'{"receipt": 1}', b'{"receipt": {}, "receipt": {}}'])
def test_an_engine_that_answers_otherwise_serves_nothing(
    paths: SitePaths, engines: SupervisedEngines, body: bytes
) -> None:
    engines.stop(NAME)
    (paths.root / "answer").write_bytes(body)
    engines.start(NAME)
    assert engines.serves(NAME) is None


@pytest.mark.parametrize(
    ("queue", "answer"),
    [
        ({"running": 1, "waiting": 0}, "busy"),
        ({"running": 0, "waiting": 2}, "busy"),
        ({"running": 0, "waiting": 0}, "idle"),
        ({"running": "many"}, "idle"),
        ([1], "idle"),
    ],
)
def test_an_engine_is_busy_while_it_says_that_somebody_waits(
    paths: SitePaths, engines: SupervisedEngines, queue: object, answer: str
) -> None:
    engines.stop(NAME)
    assert not engines.busy(NAME)
    (paths.root / "answer").write_text(json.dumps({"receipt": {}, "queue": queue}))
    engines.start(NAME)
    assert engines.busy(NAME) == (answer == "busy")


def test_an_engine_runs_beside_another_where_memory_is_free_and_on_a_gpu_never(
    paths: SitePaths, engines: SupervisedEngines, monkeypatch: pytest.MonkeyPatch
) -> None:
    site = load_site(paths.site_yaml)
    with_gpu = site.model_copy(update={"models": tuple(one.model_copy(update={"gpu": 0}) for one in site.models)})
    on_gpu = SupervisedEngines(with_gpu, paths)
    for found in (engines, on_gpu):
        found.standby = found
    (model,) = (one.name for one in site.models)
    granted = dataclasses.replace(engines._service(NAME), memory_mib=900)
    monkeypatch.setattr(SupervisedEngines, "_service", lambda *_: granted)
    for free_mib, cause in ((900, None), (899, "899 MiB are free")):
        monkeypatch.setattr(module, "memory", lambda free=free_mib: (0, free << 20))
        lacking = engines.lacks(model)
        assert lacking is None if cause is None else cause in str(lacking)
        assert "on a GPU" in str(on_gpu.lacks(model))
