"""Setting the layers in order, and saying which hold.

Order: no privileges (found, not made: the service manager starts engines so) → ``no_new_privs``, without which the
kernel takes no filter from an ordinary user → seccomp, over every thread → landlock, which covers the calling thread
and those that it starts, and so is refused once there are others. A layer that cannot be set ends the engine before a
model is open, unless an officer of the site waived it and the kernel lacks it: what a waiver covers is set all the same
where the kernel can, and what goes wrong in setting it is not waived.

Twice in a process's life: ``confine`` before anything of a model is read, and ``seal`` once the libraries that map it
are loaded (which take threads, open ``/dev/null`` and need no model), before it is mapped.
"""

from __future__ import annotations

import errno
import os
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from appliance.engine.confinement.bpf import assemble
from appliance.engine.confinement.filters import program
from appliance.engine.confinement.kernel import Linux
from appliance.engine.confinement.syscalls import NEWEST, native
from appliance.engine.errors import ConfinementError
from appliance.site.layers import WAIVABLE_LAYERS

if TYPE_CHECKING:
    from collections.abc import Callable, Collection

    from appliance.engine.confinement.bpf import Block
    from appliance.engine.confinement.filters import Stage
    from appliance.engine.confinement.kernel import Kernel
    from appliance.engine.confinement.landlock import View
    from appliance.site.layers import Layer

_STATUS = Path("/proc/self/status")
_WITHOUT_SECCOMP = frozenset({errno.ENOSYS, errno.EINVAL, errno.EPERM})  # not built in, or forbidden by a container
_CAPABILITIES = ("CapPrm", "CapEff", "CapAmb")


class _LackingError(Exception):
    """What this host lacks for a layer: all that a waiver covers."""


@dataclass(frozen=True)
class LayerState:
    """One layer: whether it holds, and by what; or why not, where it is waived."""

    name: Layer
    holds: bool
    detail: str


@dataclass(frozen=True)
class Confinement:
    """What holds of this process from now on; ``gpu``: it may give a GPU's driver orders."""

    layers: tuple[LayerState, ...]
    gpu: bool = False

    @property
    def holding(self) -> tuple[str, ...]:
        """Names of the layers that hold."""
        return tuple(layer.name for layer in self.layers if layer.holds)

    def to_json(self) -> list[dict[str, object]]:
        """As plain JSON values."""
        return [{"name": layer.name, "holds": layer.holds, "detail": layer.detail} for layer in self.layers]


def confine(view: View, waived: Collection[str], kernel: Kernel | None = None) -> Confinement:
    """Set every layer; files beyond ``view``, other processes and the network are gone afterwards.

    Raises ``ConfinementError`` when a layer cannot be set that is not among ``waived``, the layers' names that a signed
    waiver for this host covers. Layers set before that one stay: the process is to end.
    """
    chosen = kernel if kernel is not None else Linux()
    gpu = bool(view.devices)
    settings: tuple[tuple[Layer, Callable[[], str]], ...] = (
        ("unprivileged", _require_no_privileges),
        ("no_new_privs", lambda: _forbid_new_privileges(chosen)),
        ("seccomp", lambda: _filter_calls(chosen, "preparing", gpu=gpu)),
        ("landlock", lambda: _restrict_files(chosen, view)),
    )
    covered = _waivable(waived, gpu=gpu)
    return Confinement(tuple(_set(name, setting, covered) for name, setting in settings), gpu=gpu)


def seal(
    confinement: Confinement, waived: Collection[str], kernel: Kernel | None = None, stage: Stage = "serving"
) -> Confinement:
    """Take sockets and writing away too, in every thread, or all that ``stage`` does without.

    What holds now; raises as ``confine``.
    """
    chosen = kernel if kernel is not None else Linux()
    covered = _waivable(waived, gpu=confinement.gpu)
    sealed = _set("seccomp", lambda: _filter_calls(chosen, stage, gpu=confinement.gpu), covered)
    layers = tuple(sealed if layer.name == sealed.name else layer for layer in confinement.layers)
    return replace(confinement, layers=layers)


def _waivable(waived: Collection[str], *, gpu: bool) -> Collection[str]:
    """With a GPU seccomp is not: it alone takes back what the driver's library may write while it starts."""
    return {*waived} - {"seccomp"} if gpu else waived


def _set(name: Layer, setting: Callable[[], str], waived: Collection[str]) -> LayerState:
    try:
        return LayerState(name, holds=True, detail=setting())
    except OSError as error:
        raise ConfinementError(name, str(error.strerror), error.filename) from error
    except _LackingError as error:
        if name not in waived or name not in WAIVABLE_LAYERS:
            raise ConfinementError(name, str(error)) from error
        return LayerState(name, holds=False, detail=f"{error}; waived for this host")


def _require_no_privileges() -> str:
    status = _status()
    if os.geteuid() == 0:
        raise _LackingError("the engine runs as root")
    if held := [name for name in _CAPABILITIES if int(status[name], 16)]:
        raise _LackingError(f"the engine holds capabilities ({held[0]} {status[held[0]]})")
    return f"user {os.geteuid()}, no capabilities"


def _forbid_new_privileges(kernel: Kernel) -> str:
    kernel.forbid_new_privileges()
    return "set"


def _filter_calls(kernel: Kernel, stage: Stage, *, gpu: bool) -> str:
    architecture = native()
    if architecture is None:
        raise _LackingError(f"no filter is written for {os.uname().machine}")
    block: Block = program(stage, architecture, NEWEST, os.getpid(), gpu=gpu)
    try:
        kernel.filter_calls(assemble(block))
    except OSError as error:
        if error.errno in _WITHOUT_SECCOMP:
            raise _LackingError(str(error.strerror)) from error
        raise
    return f"{stage} filter{' with a GPU' if gpu else ''}, {len(block)} instructions"


def _restrict_files(kernel: Kernel, view: View) -> str:
    abi = kernel.landlock_abi()
    if abi == 0:
        raise _LackingError("this kernel has no landlock")
    if (threads := int(_status()["Threads"])) != 1:
        raise ConfinementError("landlock", f"{threads} threads run already, and it covers the caller's only")
    kernel.restrict_files(abi, view)
    return f"ABI {abi}"


def _status() -> dict[str, str]:
    """``/proc/self/status`` by field (proc_pid_status(5))."""
    lines = (line.partition(":") for line in _STATUS.read_text(encoding="ascii", errors="replace").splitlines())
    return {name: value.strip() for name, _, value in lines}
