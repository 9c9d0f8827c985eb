"""Engines as processes: ours, llama-server behind our protocol, and llama-server as it comes.

Each is started as the unprivileged user that an engine must be, on a Unix socket in a folder of its own, and stopped
when its block ends.
"""

from __future__ import annotations

import contextlib
import json
import os
import socket as sockets
import subprocess
import sys
import tempfile
import time
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

import httpx

from tests.engine.asking import model_fields
from tests.engine.confined import unprivileged

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from tests.engine.emulated import Processor
    from tests.engine.llama_server_build import LlamaServer

START_S = 180
EMULATED_START_S = 900
"""An emulated processor computes some twenty times slower, and beside other tests on two cores slower still."""
STOP_S = 60
TEMPLATE = "{% for m in messages %}User: {{ m.content }}\n{% endfor %}Assistant:"
_OURS = """
import json, os, sys
from pathlib import Path
from appliance.engine.kv.arena import hold_to_size, open_arena
from appliance.engine.kv.disk import Disk
from appliance.site.served import Model
given = json.loads(sys.argv[1])
loaded = {
    "template": given["template"],
    "receipt": given["receipt"],
    "record": {"name": "test", "role": given["role"], "template": {"stop": ["\\nUser:"]}, **given.get("says", {})},
}
if "library" in given:
    from appliance.engine.llama_server.child import Opened
    from appliance.engine.llama_server.launch import serve
    opened = lambda: Opened(os.open(given["model"], os.O_RDONLY), **loaded)
    more = {"gate": opened, "library": Path(given["library"]) if given["library"] else None}
else:
    from appliance.engine.launch import serve
    state = Path(given["state"])
    more = {**loaded, "weights_fd": os.open(given["model"], os.O_RDONLY)}
    more |= {"variant": given["variant"], "waived": given["waived"]}
    if given["state"]:
        arena = open_arena(state / "kv.arena", 256)
        hold_to_size(arena)
        more["disk"] = Disk.for_model(arena, (state / "kv_key").read_bytes(), {"digest": "sha256:0"})
serve(
    config=Model(name="test", **given["config"]),
    socket=Path(given["socket"]),
    clients=frozenset({os.getuid()}),
    **more,
)
"""


@dataclass(frozen=True)
class Sizes:
    """What an engine of ours may use."""

    context_tokens: int = 1024
    threads: int = 1
    queue: int = 64
    memory_mib: int = 1200
    parallel: int = 16
    gpu: int | None = None


@dataclass(frozen=True)
class Served:
    """A process that answers on ``socket``."""

    socket: Path
    process: subprocess.Popen[bytes]

    def stop(self) -> int:
        """End it in order; the value is its exit code."""
        self.process.terminate()
        return self.process.wait(STOP_S)


@contextlib.contextmanager
def our_engine(  # noqa: PLR0913 - what an engine may be started with
    model: Path,
    sizes: Sizes,
    state: Path | None = None,
    *,
    role: str = "chat",
    receipt: Mapping[str, Any] = MappingProxyType({"digest": "sha256:0"}),
    says: Mapping[str, Any] = MappingProxyType({}),
    template: str = TEMPLATE,
    variant: str | None = None,
    processor: Processor | None = None,
) -> Iterator[Served]:
    """Our own engine. ``state`` is where it keeps what a restart should find, its key too; else it keeps nothing.

    ``says`` is what its record has besides. ``variant`` names its CPU code, where that must be another's. On an
    emulated ``processor`` it is not confined, since the emulator knows neither seccomp nor landlock.
    """
    if state is not None and not (state / "kv_key").exists():
        (state / "kv_key").write_bytes(os.urandom(32))
    with _folder() as folder:
        given = _given(model, sizes, folder) | {"state": str(state or ""), "role": role, "variant": variant}
        given["receipt"], given["template"] = dict(receipt), template
        given["says"] = dict(says)
        given["waived"] = [] if processor is None else ["seccomp", "landlock"]
        argv = [sys.executable, "-c", _OURS, json.dumps(given)]
        patience = START_S if processor is None else EMULATED_START_S
        emulated = argv if processor is None else processor.running(argv)
        with running(emulated, folder / "s", patience_s=patience) as served:
            yield served


@contextlib.contextmanager
def adapted_engine(
    model: Path, sizes: Sizes, server: LlamaServer | None, slots: int, *, role: str = "chat"
) -> Iterator[Served]:
    """llama-server, hardened, behind the same protocol; None: the one of the installed wheel."""
    with _folder() as folder:
        library = "" if server is None else str(server.library)
        given = _given(model, replace(sizes, parallel=slots), folder) | {"library": library, "role": role}
        with running([sys.executable, "-c", _OURS, json.dumps(given)], folder / "s") as served:
            yield served


@contextlib.contextmanager
def plain_llama_server(
    model: Path, server: LlamaServer, flags: Sequence[str], libraries: Sequence[Path] = ()
) -> Iterator[Served]:
    """llama-server as it comes, with ``flags``, on a Unix socket; nothing of this user's settings reaches it.

    ``libraries`` are folders that it finds shared libraries in, beside its own.
    """
    with _folder() as folder:
        socket = folder / "s.sock"
        argv = [str(server.program), "--model", str(model), "--host", str(socket), "--no-ui", "--log-verbosity", "1"]
        environment = {"XDG_CONFIG_HOME": str(folder), "XDG_CACHE_HOME": str(folder), "PATH": os.environ["PATH"]}
        if libraries:
            environment["LD_LIBRARY_PATH"] = os.pathsep.join(map(str, libraries))
        with running([*argv, *flags], socket, environment, health="/health") as served:
            yield served


def described(socket: Path) -> dict[str, Any]:
    """What the engine of ours at ``socket`` says of itself. Blocks."""
    with httpx.Client(transport=httpx.HTTPTransport(uds=str(socket)), base_url="http://engine") as http:
        said: dict[str, Any] = http.get("/model").raise_for_status().json()
        return said


def _given(model: Path, sizes: Sizes, folder: Path) -> dict[str, object]:
    return {
        "model": str(model),
        "template": TEMPLATE,
        "config": model_fields(**asdict(sizes)),
        "socket": str(folder / "s"),
        "role": "chat",
        "receipt": {"digest": "sha256:0"},
    }


@contextlib.contextmanager
def _folder() -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix="engine-") as name:
        yield Path(name)


@contextlib.contextmanager
def running(
    argv: list[str],
    socket: Path,
    environment: dict[str, str] | None = None,
    health: str = "/healthz",
    patience_s: float = START_S,
) -> Iterator[Served]:
    """``argv`` as an ordinary user, once it answers on ``socket``. Raises ``RuntimeError`` where it ends before."""
    process = subprocess.Popen(unprivileged(argv), env=environment, stdout=subprocess.DEVNULL)
    try:
        _await(socket, process, health, patience_s)
        yield Served(socket, process)
    finally:
        process.terminate()
        try:
            process.wait(STOP_S)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _await(socket: Path, process: subprocess.Popen[bytes], health: str, patience_s: float) -> None:
    deadline = time.monotonic() + patience_s
    while not _healthy(socket, health):
        if process.poll() is not None:
            raise RuntimeError(f"the engine ended with {process.returncode} instead of serving")
        if time.monotonic() > deadline:
            raise RuntimeError("the engine did not come up")
        time.sleep(0.02)


def _healthy(socket: Path, health: str) -> bool:
    """By hand: httpx leaves a socket open where connecting fails, and that is a warning, and those are errors."""
    with sockets.socket(sockets.AF_UNIX) as http:
        http.settimeout(5)
        try:
            http.connect(str(socket))
            http.sendall(f"GET {health} HTTP/1.1\r\nHost: engine\r\nConnection: close\r\n\r\n".encode())
            return http.recv(64).startswith(b"HTTP/1.1 200 ")
        except OSError:
            return False
