"""Who is measured: our engine, and llama-server with each set of flags that might be its best.

Each is started afresh for each load. Both have the same library sources, flags of the compiler, model, threads and
room for tokens: of the wheel's variants of CPU code ours loads the one that the peer was compiled as, also on a
processor that could do more (``native`` compares what each does there at its best).
"""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from tests.bench.engine.completions import EngineCompletions, LlamaServerCompletions
from tests.engine.llama_server_build import VARIANT
from tests.engine.served import Sizes, described, our_engine, plain_llama_server

if TYPE_CHECKING:
    from collections.abc import Iterator
    from contextlib import AbstractContextManager
    from pathlib import Path
    from typing import Any

    from tests.bench.engine.completions import Completions
    from tests.engine.llama_server_build import LlamaServer

ROOM_TOKENS = 32_768
REQUEST_TOKENS = 4096
MEMORY_MIB = 1200  # holds about as many tokens as the peer is given
SLOTS = 24  # ours: what site.yaml has by default
OURS = "sovereign"
PEER = "llama-server"
PEER_FLAGS: dict[str, tuple[str, ...]] = {
    "16 slots": ("--parallel", "16", "--kv-unified"),
    "16 slots, whole windows": ("--parallel", "16", "--kv-unified", "--swa-full"),
    "16 slots, small batches": ("--parallel", "16", "--kv-unified", "--batch-size", "512", "--ubatch-size", "128"),
    "32 slots": ("--parallel", "32", "--kv-unified"),
    "4 slots": ("--parallel", "4", "--kv-unified"),
}
"""``4 slots`` is what the server chooses by itself. Its prompt caches stay on, as they come."""


@dataclass(frozen=True)
class Machine:
    """What both contenders are given."""

    model: Path
    server: LlamaServer
    threads: int
    variant: str | None = VARIANT
    """Of ours; None: the best that this processor can do."""

    def ours(self, state: Path | None = None) -> AbstractContextManager[Completions]:
        """Our engine, on its own socket through the thin adapter."""
        return _ours(self, state)

    def facts(self) -> dict[str, Any]:
        """What our engine says of its own size."""
        with our_engine(self.model, sizes_of(self), variant=self.variant) as served:
            said = described(served.socket)
        told = ("context_tokens", "parallel", "cells", "batch_tokens", "variant")
        return {name: said[name] for name in told if name in said}

    def peer(self, flags: str) -> AbstractContextManager[Completions]:
        """llama-server with the set ``flags`` of ``PEER_FLAGS``."""
        return _peer(self, PEER_FLAGS[flags])


def sizes_of(machine: Machine) -> Sizes:
    """What our engine may use on ``machine``."""
    return Sizes(REQUEST_TOKENS, machine.threads, queue=4096, memory_mib=MEMORY_MIB, parallel=SLOTS)


@contextmanager
def _ours(machine: Machine, state: Path | None) -> Iterator[Completions]:
    with our_engine(machine.model, sizes_of(machine), state, variant=machine.variant) as served:
        yield EngineCompletions(served.socket)


@contextmanager
def _peer(machine: Machine, flags: tuple[str, ...]) -> Iterator[Completions]:
    threads = str(machine.threads)
    sizes = ("--ctx-size", str(ROOM_TOKENS), "--threads", threads, "--threads-batch", threads)
    with plain_llama_server(machine.model, machine.server, (*sizes, *flags)) as served:
        yield LlamaServerCompletions(served.socket)
