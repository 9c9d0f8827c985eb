"""`sovereign serve engine-…` as its service manager starts it: gate, log and loader, on kernels that lack a layer too.

The release's model is a few bytes that pass the gate and that llama.cpp then refuses: how far a start came shows in its
exit and in the audit log.
"""

from __future__ import annotations

import os
import platform
import subprocess
import sys
import time
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

import pytest

from appliance.audit.keys import CheckpointKeys
from appliance.install import decisions
from appliance.install.model_import import bring
from appliance.install.model_switch import promote
from appliance.site.layers import LAYERS
from tests import site_of_models
from tests.engine.confined import unprivileged
from tests.unit.models.small_release import NAME, host_waiver
from tests.unit.models.test_admission import paths  # noqa: F401 - an installed site, as a fixture

if TYPE_CHECKING:
    from collections.abc import Iterator

    from appliance.site.paths import SitePaths

pytestmark = pytest.mark.skipif(platform.machine() != "x86_64", reason="the lacking kernels are made for x86-64")
SOVEREIGN = ["-c", "from appliance.cli.entry import run; run()"]
LACKING = """
import errno, os, sys
from appliance.engine.confinement import bpf
from appliance.engine.confinement.kernel import Linux
missing = (bpf.give(bpf.refuse(errno.ENOSYS)),)
program = [bpf.load(bpf.NUMBER), *bpf.when_equal(int(sys.argv[1]), missing), bpf.give(bpf.ALLOW)]
kernel = Linux()
kernel.forbid_new_privileges()
kernel.filter_calls(bpf.assemble(program))
os.execv(sys.argv[2], sys.argv[2:])
"""
CALLS = {"landlock": "444", "seccomp": "317"}
REFUSED_BY_LLAMA = "llama.cpp refuses the model file"


class Host:
    """The site's services, started by hand as an unprivileged user."""

    def __init__(self, site: SitePaths, folder: Path) -> None:
        self._site, self._folder = site, folder
        self._environment = {
            "PATH": os.environ["PATH"],
            "PYTHONPATH": str(Path(__file__).parents[3]),
            "XDG_RUNTIME_DIR": str(folder),
            "CREDENTIALS_DIRECTORY": str(folder / "credentials"),
        }

    def prefer(self, packages: Path) -> None:
        """From now on ``packages`` come before what the environment holds."""
        self._environment["PYTHONPATH"] = f"{packages}{os.pathsep}{self._environment['PYTHONPATH']}"

    def _command(self, service: str, lacking: str | None = None) -> list[str]:
        program = [sys.executable, *SOVEREIGN, "--site", str(self._site.root), "serve", service]
        if lacking is not None:
            program = [sys.executable, "-c", LACKING, CALLS[lacking], *program]
        return unprivileged(program)

    @contextmanager
    def audit(self) -> Iterator[None]:
        """The log's writer, while the block runs."""
        (self._folder / "credentials").mkdir()
        keys = CheckpointKeys.generate()
        (self._folder / "credentials" / "checkpoint_ed25519.pem").write_bytes(keys.ed25519_pem())
        (self._folder / "credentials" / "checkpoint_mldsa44.pem").write_bytes(keys.mldsa44_pem())
        (self._folder / "credentials" / "kv_key").write_bytes(os.urandom(32))
        run = self._folder / self._site.run.name
        for name in ("audit", f"engine-{NAME}"):
            (run / name).mkdir(parents=True)
        writer = subprocess.Popen(self._command("audit"), env=self._environment)
        try:
            deadline = time.monotonic() + 60
            while not (run / "audit" / "sock").exists():
                assert writer.poll() is None
                assert time.monotonic() < deadline
                time.sleep(0.05)
            yield
        finally:
            writer.terminate()
            writer.wait(30)

    def start_engine(self, lacking: str | None = None) -> tuple[int, str]:
        """Exit code and last words of an engine's start."""
        done = subprocess.run(
            self._command(f"engine-{NAME}", lacking),
            env=self._environment,
            capture_output=True,
            text=True,
            check=False,
            timeout=120,
        )
        return done.returncode, done.stderr

    def logged(self) -> bytes:
        """Everything that the log's files hold."""
        return b"".join(p.read_bytes() for p in sorted(self._site.audit_log.rglob("*")) if p.is_file())


@pytest.fixture
def host(paths: SitePaths) -> Iterator[Host]:  # noqa: F811 - the fixture above
    for service in ("audit", f"engine-{NAME}"):
        paths.data(service).mkdir(parents=True)
    with TemporaryDirectory(prefix="run-") as folder:  # a socket's path is short
        found = Host(paths, Path(folder))
        with found.audit():
            yield found


def _named(layers: tuple[str, ...]) -> bytes:
    return ('"confinement":[' + ",".join(f'"{layer}"' for layer in layers) + "]").encode()


def test_an_engine_passes_gate_log_and_loader_under_every_layer(host: Host) -> None:
    code, words = host.start_engine()
    assert REFUSED_BY_LLAMA in words
    assert code == 5
    assert _named(LAYERS) in host.logged()


def test_an_engine_loads_what_was_decided_from_inside_its_confinement(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(decisions, "answers", lambda _probe: True)
    monkeypatch.setattr(decisions, "spool", lambda *_: 0)
    site = site_of_models.install(tmp_path / "site", tmp_path)
    for service in ("audit", f"engine-{NAME}"):
        site.data(service).mkdir(parents=True)
    gated = site_of_models.GatedEngines(site)
    gated.start(NAME)
    bring(site, site_of_models.make(tmp_path / "models"), rehearse=False, engines=gated)
    promote(site, NAME, reason="to be loaded", engines=gated)
    with TemporaryDirectory(prefix="run-") as folder:
        host = Host(site, Path(folder))
        with host.audit():
            code, words = host.start_engine()
            assert REFUSED_BY_LLAMA in words
            assert code == 5
            log = host.logged()
            assert site_of_models.digest_of(site_of_models.NEW).encode() in log
            assert site_of_models.digest_of(site_of_models.OLD).encode() not in log
            assert _named(LAYERS) in log


@pytest.mark.parametrize("layer", ["landlock", "seccomp"])
def test_on_a_kernel_without_a_layer_no_model_is_opened_and_the_log_says_why(host: Host, layer: str) -> None:
    code, words = host.start_engine(lacking=layer)
    assert code == 5
    assert f"the engine cannot be confined by {layer}" in words
    assert "waive-host" in words
    assert REFUSED_BY_LLAMA not in words
    assert f"the engine cannot be confined by {layer}".encode() in host.logged()


@pytest.mark.parametrize("layer", ["landlock", "seccomp"])
def test_a_waiver_lets_an_engine_start_without_that_layer_and_no_other(
    host: Host,
    paths: SitePaths,  # noqa: F811 - the fixture above
    layer: str,
) -> None:
    signed = host_waiver(waives=[layer], issued=datetime.now(UTC) - timedelta(hours=1))
    (paths.policies / "waivers" / "host.json").write_bytes(signed)
    code, words = host.start_engine(lacking=layer)
    assert REFUSED_BY_LLAMA in words
    assert code == 5
    assert _named(tuple(name for name in LAYERS if name != layer)) in host.logged()
    other = next(name for name in CALLS if name != layer)
    assert f"cannot be confined by {other}" in host.start_engine(lacking=other)[1]


def test_a_waiver_that_has_ended_lets_nothing_start(host: Host, paths: SitePaths) -> None:  # noqa: F811 - as above
    ended = host_waiver(issued=datetime.now(UTC) - timedelta(days=30), days=29)
    (paths.policies / "waivers" / "host.json").write_bytes(ended)
    assert "cannot be confined by landlock" in host.start_engine(lacking="landlock")[1]
