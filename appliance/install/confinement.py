"""Which layers confine each running engine: by its own word, held against what the kernel says of its threads.

The kernel shows a process's user, capabilities, ``no_new_privs`` and seccomp for every thread in ``/proc``, and nothing
about landlock: that layer rests on the engine's word, which it fixed before it opened a model. Where word and kernel
disagree, the kernel counts.
"""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, get_args

from appliance.install.probe import fetch_json
from appliance.site.layers import LAYERS, Layer
from appliance.site.processor import VARIANTS

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Mapping

    from appliance.install.services import Service

State = Literal["holds", "waived", "missing", "contradicted", "unknown"]
OTHER = "llama-server"
_ACCEPTED = frozenset({"holds", "waived"})
_DETAIL_CHARACTERS = 200
_NO_CAPABILITY = "0000000000000000"
_FILTERED = "2"  # SECCOMP_MODE_FILTER

Thread = dict[str, str]
"""One thread's ``/proc/PID/task/TID/status`` by field."""


@dataclass(frozen=True)
class LayerStatus:
    """One layer of one engine. ``contradicted``: the engine says that it holds, and the kernel that it does not."""

    name: Layer
    state: State
    detail: str


@dataclass(frozen=True)
class EngineConfinement:
    """The layers of one engine; all ``unknown`` where it does not run.

    By its own word: ``variant`` is the CPU code it computes with, ``device`` the GPU where it has one,
    ``pinned_tokens`` how much of the site's and groups' instructions stays in its memory, ``most_pinned`` how much may;
    ``program`` is what answers where that is not our own engine.
    """

    engine: str
    layers: tuple[LayerStatus, ...]
    variant: str | None = None
    device: str | None = None
    pinned_tokens: int | None = None
    most_pinned: int | None = None
    program: str | None = None

    @property
    def ok(self) -> bool:
        """Whether every layer holds, or is waived by a waiver that is in force."""
        return all(layer.state in _ACCEPTED for layer in self.layers)


def engine_confinement(service: Service, pid: int | None, waived: Collection[str]) -> EngineConfinement:
    """Ask the engine ``service`` and the kernel. ``waived`` names the layers that a waiver in force covers."""
    if pid is None:
        return EngineConfinement(service.name, tuple(LayerStatus(name, "unknown", "not running") for name in LAYERS))
    said = fetch_json(replace(service.probe, path="/model"))
    layers = compare(reported(said), threads_of(pid), waived)
    return EngineConfinement(
        service.name, layers, variant_of(said), device_of(said), *pinned_of(said), program_of(said)
    )


def reported(said: Any) -> dict[str, LayerStatus]:
    """What an engine reports, by layer. Anything that is no such report says nothing."""
    report = said.get("confinement") if isinstance(said, dict) else None
    found: dict[str, LayerStatus] = {}
    for entry in report if isinstance(report, list) else ():
        if isinstance(entry, dict) and entry.get("name") in get_args(Layer) and isinstance(entry.get("holds"), bool):
            state: State = "holds" if entry["holds"] else "missing"
            found[entry["name"]] = LayerStatus(entry["name"], state, _printable(entry.get("detail")))
    return found


def variant_of(said: Any) -> str | None:
    """The CPU code that an engine says it computes with; None where it names none that exists."""
    variant = said.get("variant") if isinstance(said, dict) else None
    return variant if variant in VARIANTS else None


def program_of(said: Any) -> str | None:
    """``llama-server`` where an engine says that this is what answers; None else."""
    return OTHER if isinstance(said, dict) and said.get("program") == OTHER else None


def device_of(said: Any) -> str | None:
    """The GPU that an engine says it computes on; None where it names none."""
    device = said.get("device") if isinstance(said, dict) else None
    name = device.get("name") if isinstance(device, dict) else None
    return _printable(name) if isinstance(name, str) and name else None


def pinned_of(said: Any) -> tuple[int | None, int | None]:
    """The tokens of instructions that an engine says stay in its memory, and may; None where it does not say."""
    pinned = said.get("pinned") if isinstance(said, dict) else None
    tokens, most = (pinned.get(name) if isinstance(pinned, dict) else None for name in ("tokens", "most"))
    return _counted(tokens), _counted(most)


def _counted(value: Any) -> int | None:
    return value if isinstance(value, int) and not isinstance(value, bool) and value >= 0 else None


def compare(
    report: Mapping[str, LayerStatus], threads: Iterable[Thread], waived: Collection[str]
) -> tuple[LayerStatus, ...]:
    """Every layer, the report held against the threads' own state. Pure."""
    known = tuple(threads)
    return tuple(_compared(report.get(name), name, known, waived) for name in LAYERS)


def _compared(
    said: LayerStatus | None, name: Layer, threads: tuple[Thread, ...], waived: Collection[str]
) -> LayerStatus:
    if said is None:
        return LayerStatus(name, "unknown", "the engine does not say")
    if said.state == "missing":
        return replace(said, state="waived") if name in waived else said
    if name not in _SHOWN:
        return replace(said, detail=f"{said.detail}, by the engine's word")
    if not threads:
        return LayerStatus(name, "unknown", "the kernel does not show its threads")
    bare = sum(1 for thread in threads if not _SHOWN[name](thread))
    if bare:
        return LayerStatus(name, "contradicted", f"missing in {bare} of {len(threads)} threads")
    return replace(said, detail=f"{said.detail}; {len(threads)} of {len(threads)} threads")


def _is_unprivileged(thread: Thread) -> bool:
    users = thread.get("Uid", "0").split()
    return "0" not in users and all(thread.get(name) == _NO_CAPABILITY for name in ("CapPrm", "CapEff", "CapAmb"))


_SHOWN: Mapping[str, Callable[[Thread], bool]] = {
    "unprivileged": _is_unprivileged,
    "no_new_privs": lambda thread: thread.get("NoNewPrivs") == "1",
    "seccomp": lambda thread: thread.get("Seccomp") == _FILTERED,
}


def threads_of(pid: int) -> tuple[Thread, ...]:
    """Every thread's state; none where the process is gone or hidden. Threads that end meanwhile are left out."""
    found = []
    with suppress(OSError):
        for task in Path(f"/proc/{pid}/task").iterdir():
            with suppress(OSError):
                found.append(_fields((task / "status").read_text(errors="replace")))
    return tuple(found)


def _fields(status: str) -> Thread:
    lines = (line.partition(":") for line in status.splitlines())
    return {name: value.strip() for name, _, value in lines}


def _printable(text: object) -> str:
    """The engine's words, short and without control characters: they go to a terminal."""
    shown = text[:_DETAIL_CHARACTERS] if isinstance(text, str) else ""
    return shown if shown.isprintable() else ascii(shown)
