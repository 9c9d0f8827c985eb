"""The process that runs llama-server: forked, never executed, and confined like our own engine.

The server is a library here, called by its main function. So no program is started, and the layers of an engine fit as
they are: files narrow to the libraries and the one model, and once the server has its socket, which it opens before it
reads a model, sockets are taken away too (``seal``). Sealing happens beside the server's first steps, for nothing can
be called in between; so the parent lets no request in before it has happened.

A confined process cannot fork, and hands no descriptor on. So the model passes the gate here, in the child: the
descriptor that was verified never leaves the process that loads it.

Parent and child hold the two ends of a socket pair. Each learns of the other's end by the end of file, however that
came: a child whose parent is gone leaves at once, and a parent needs no signal and no wait to know. On it the child
says two lines: what the gate let pass, before native code reads any of it; then which layers hold. Or why not.
"""

from __future__ import annotations

import contextlib
import ctypes
import json
import os
import signal
import socket as sockets
import threading
import time
import traceback
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

from appliance.engine.confinement.landlock import View, environment
from appliance.engine.confinement.layers import Confinement, confine, seal
from appliance.engine.errors import ConfinementError, ModelLoadError
from appliance.engine.llama_server.arguments import Shape, arguments
from appliance.engine.memory import MIB, ResidentMemory, require_weights_fit
from appliance.engine.stacks import bound_stacks
from appliance.errors import SovereignError

if TYPE_CHECKING:
    from collections.abc import Callable, Collection

_MAIN = "_Z12llama_serveriPPc"  # int llama_server(int, char **), as the C++ ABI writes it
_OURS = "have sovereign serve it: `program` of the model in site.yaml"
_POLL_S = 0.005
_WATCH_S = 1.0
_READINGS_OVER_BUDGET = 5
_OVER_BUDGET, _UNCONFINED, _ABANDONED = 70, 71, 72


@dataclass(frozen=True)
class Opened:
    """What the gate let pass: the descriptor that was verified, and what is said of the model."""

    weights_fd: int
    template: str
    receipt: dict[str, Any]
    record: dict[str, Any]


@dataclass(frozen=True)
class Program:
    """What a child runs: the gate, then the server in ``library`` (None: the wheel's), on its socket, in its bounds."""

    gate: Callable[[], Opened]
    shape: Shape
    socket: Path
    budget_mib: int
    waived: frozenset[str]
    library: Path | None = None


def fork(program: Program, leave: Collection[int]) -> sockets.socket:
    """Start the server; the value is the parent's end of the pair. ``leave`` are descriptors the child must not keep.

    The caller has one thread still: a fork copies no other, and landlock would refuse them.
    """
    ours, theirs = sockets.socketpair()
    if os.fork() == 0:
        ours.close()
        for descriptor in leave:
            os.close(descriptor)
        _child(program, theirs)
    theirs.close()
    return ours


def _child(program: Program, parent: sockets.socket) -> NoReturn:
    code = 1
    try:
        code = _run(program, parent)
    except SovereignError as error:
        _refuse(parent, error)
        code = _UNCONFINED
    except Exception:  # noqa: BLE001 - a child must not run on in its parent's code; the log names the reason
        traceback.print_exc()
    finally:
        os._exit(code)


def _refuse(parent: sockets.socket, error: SovereignError) -> None:
    layer = {"layer": error.layer} if isinstance(error, ConfinementError) else {}
    said = {"refused": error.cause, "hint": error.hint, "exit_code": error.exit_code, **layer}
    with contextlib.suppress(OSError):
        parent.sendall(json.dumps(said).encode() + b"\n")


def _run(program: Program, parent: sockets.socket) -> int:
    os.setsid()
    os.chdir("/")  # where nobody but root puts a library, and which landlock lets nobody list
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM, signal.SIGINT})  # the parent drains, then lets go
    resident = ResidentMemory()
    opened = program.gate()
    if opened.record.get("role") == "embedding":
        raise ModelLoadError("llama-server makes no vectors, and this model does nothing else", _OURS)
    require_weights_fit(os.fstat(opened.weights_fd).st_size, program.budget_mib)
    os.environ.clear()  # llama-server takes settings from there
    os.umask(0o177)
    libraries = () if program.library is None else (program.library.parent,)
    model = Path(f"/proc/self/fd/{opened.weights_fd}")
    view = View((*environment(), *libraries, model), own=program.socket.parent)
    confined = confine(view, program.waived)
    bound_stacks()
    variant, library = _library(program)
    said = {"template": opened.template, "receipt": opened.receipt, "record": opened.record, "variant": variant}
    parent.sendall(json.dumps(said).encode() + b"\n")
    server = getattr(library, _MAIN)
    threading.Thread(target=_seal, args=(program, parent, confined), daemon=True).start()
    threading.Thread(target=_watch_memory, args=(resident, program.budget_mib), daemon=True).start()
    words = [word.encode() for word in arguments(opened.weights_fd, program.socket, program.shape)]
    pointers = (ctypes.c_char_p * (len(words) + 1))(*words, None)
    return int(server(len(words), pointers))


def _library(program: Program) -> tuple[str, ctypes.CDLL]:
    if program.library is not None:
        return "", ctypes.CDLL(str(program.library))
    from appliance.engine.llama_server import library  # noqa: PLC0415 - it loads llama.cpp, which starts threads

    return library.load()


def _seal(program: Program, parent: sockets.socket, confined: Confinement) -> None:
    """Seal as soon as the server listens, say so, and then wait for the parent's end."""
    while not program.socket.exists():
        time.sleep(_POLL_S)
    try:
        sealed = seal(confined, program.waived)
    except ConfinementError as error:
        _refuse(parent, error)
        os._exit(_UNCONFINED)
    with contextlib.suppress(OSError):
        parent.sendall(json.dumps({"layers": sealed.to_json()}).encode() + b"\n")
        parent.recv(1)
    os._exit(_ABANDONED)


def _watch_memory(resident: ResidentMemory, budget_mib: int) -> None:
    """End this process after some readings in a row above the budget."""
    over = 0
    while over < _READINGS_OVER_BUDGET:
        time.sleep(_WATCH_S)
        over = over + 1 if resident.read() > budget_mib * MIB else 0
    os._exit(_OVER_BUDGET)
