"""The engine as a process: take the socket, give up the rest, and only then open a model.

Order, each step resting on the one before: the memory counter is opened, which lies in a file; the socket is bound but
not listened on, so that a client is refused until there is a model; files, other processes and the network are given up
while there is one thread; llama.cpp is loaded, with the one library for this processor, which brings threads; sockets
and writing are given up in all of them; then the descriptor that was verified is mapped. No byte of a model meets
native code in a process that could reach anything but its clients. What lies beyond an engine's view (its disk, the
energy counters) is opened by whoever calls.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import socket as sockets
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from appliance.engine.confinement.landlock import View, environment
from appliance.engine.confinement.layers import confine, seal
from appliance.engine.errors import BackendError
from appliance.engine.memory import ResidentMemory
from appliance.errors import DeploymentError
from appliance.site.gpu import PROC, gpu
from appliance.site.processor import processor_flags, variant_for

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping

    from appliance.engine.kv.disk import Disk
    from appliance.engine.nvml import Counters
    from appliance.site.served import Model

_DRIVER = (
    PROC,
    *map(Path, ("/proc/self", "/proc/devices", "/proc/sys/vm/mmap_min_addr", "/sys/devices", "/sys/bus/pci")),
    Path("/usr/local/nvidia"),
)
"""Where the driver's own libraries look; the last is where containers have these."""
_THREADS = Path("/proc/self/task")


def serve(  # noqa: PLR0913 - what a process needs to begin, named at the one call
    *,
    weights_fd: int,
    template: str,
    receipt: dict[str, Any],
    record: dict[str, Any],
    config: Model,
    socket: Path,
    clients: frozenset[int],
    waived: Collection[str] = (),
    disk: Disk | None = None,
    adapters: Mapping[str, int] = MappingProxyType({}),
    counters: Counters | None = None,
    variant: str | None = None,
) -> None:
    """Serve one verified model on ``socket`` to the uids in ``clients`` until SIGTERM or SIGINT; then drain.

    ``weights_fd`` is the descriptor whose bytes were verified, and the one that is loaded; ``adapters`` are such
    descriptors by name. ``waived`` names layers of confinement that a signed waiver lets this host lack. ``disk``,
    opened before anything was confined, is where beginnings of prompts are kept over a restart; ``counters``, as well,
    tell of the processor's energy where the host can. ``variant`` names the CPU code to take instead of the best.
    The process is confined for good when this returns or raises: ``BackendError``, ``ConfinementError``,
    ``MemoryBudgetError``, ``ModelLoadError``, ``DeploymentError`` (the socket is taken). Blocks.
    """
    _require_processor()
    resident = ResidentMemory()
    with bound(socket) as listener:
        confined = confine(view_of(config, environment(), socket.parent), waived)
        from appliance.engine import llama_backend, nvml, service  # noqa: PLC0415 - llama.cpp starts threads, landlock first

        computing = llama_backend.start(only=variant, gpu=config.gpu)
        if config.gpu is not None:
            counters = nvml.beside(counters, config.gpu)
        service.serve(
            weights_fd=weights_fd,
            template=template,
            receipt=receipt,
            record=record,
            config=config,
            listener=listener,
            clients=clients,
            confinement=seal(confined, waived),
            resident=resident,
            disk=disk,
            adapters=adapters,
            counters=counters,
            variant=computing,
        )


def view_of(config: Model, readable: tuple[Path, ...], own: Path) -> View:
    """What the engine of ``config`` sees: ``readable``, its ``own`` folder, and the GPU that it computes on.

    Raises ``BackendError`` where the host's driver has no such GPU.
    """
    if config.gpu is None:
        return View(readable, own)
    found = gpu(config.gpu)
    if found is None:
        hint = "`nvidia-smi -L` lists those that the host's driver runs; `gpu` in site.yaml is such a number"
        raise BackendError(f"this host has no GPU {config.gpu}", hint)
    return View((*readable, *(path for path in _DRIVER if path.exists())), own, found.files(), _THREADS)


def _require_processor() -> None:
    """Before anything is loaded that ends at an instruction which is not there, without a word."""
    if (flags := processor_flags()) and variant_for(flags) is None:
        raise BackendError("this processor lacks SSE4.2 (x86-64-v2)", "serve the model on another host")


@contextlib.contextmanager
def bound(path: Path) -> Iterator[sockets.socket]:
    """A socket at ``path``, mode 0660 from its first moment.

    Its folder is locked for as long as the engine lives, from before it listens: a stale file is replaced, a living
    engine's is refused, one that still loads included.
    """
    with _locked(path.parent), sockets.socket(sockets.AF_UNIX, sockets.SOCK_STREAM) as listener:
        path.unlink(missing_ok=True)
        before = os.umask(0o117)
        try:
            listener.bind(str(path))
        finally:
            os.umask(before)
        try:
            yield listener
        finally:
            path.unlink(missing_ok=True)


@contextlib.contextmanager
def _locked(folder: Path) -> Iterator[None]:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise DeploymentError(f"another engine runs at {folder}", "stop it first: `sovereign down`") from error
        yield
    finally:
        os.close(descriptor)
