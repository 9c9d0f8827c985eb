"""Who is measured on a GPU: our engine, llama-server with the very same code for the GPU, and ours on the processor.

llama-server is the one of the other benchmarks. ggml loads what lies beside the program, so that our wheel's
``libggml-cuda.so`` beside a copy of it makes it compute on the GPU; ``--device`` has it end where it would not.
"""

from __future__ import annotations

import os
import shutil
import tempfile
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from appliance.engine import llama_gpu, wheel_files
from tests.bench.engine.completions import EngineCompletions, LlamaServerCompletions
from tests.engine.llama_server_build import LlamaServer
from tests.engine.served import Sizes, described, our_engine, plain_llama_server

if TYPE_CHECKING:
    from collections.abc import Iterator
    from contextlib import AbstractContextManager

    from tests.bench.engine.completions import Completions

OURS, PEER, PROCESSOR = "sovereign", "llama-server", "sovereign on the processor"
CELLS = 65_536
"""Room for tokens, of llama-server where ours has not said yet how much its memory budget comes to."""
REQUEST_TOKENS = 8192
SLOTS = 16
MEMORY_MIB = 6400  # the random model's weights, ``CELLS`` of it and CUDA's own
PEER_FLAGS = ("--parallel", str(SLOTS), "--kv-unified", "--device", "CUDA0", "--n-gpu-layers", "999")


@dataclass
class Contenders:
    """What each is given. ``said`` is what our engine on the GPU says of itself, once it was there."""

    model: Path
    server: LlamaServer
    said: dict[str, Any] = field(default_factory=dict)

    def start(self, who: str) -> AbstractContextManager[Completions]:
        """The contender of that name, serving."""
        return self._peer() if who == PEER else self._ours(0 if who == OURS else None)

    @contextmanager
    def _ours(self, gpu: int | None) -> Iterator[Completions]:
        sizes = Sizes(REQUEST_TOKENS, _threads(), queue=256, memory_mib=MEMORY_MIB, parallel=SLOTS, gpu=gpu)
        with our_engine(self.model, sizes) as served:
            if gpu is not None:
                self.said = described(served.socket)
            yield EngineCompletions(served.socket)

    @contextmanager
    def _peer(self) -> Iterator[Completions]:
        threads = str(_threads())
        sizes = ("--ctx-size", str(self.said.get("cells", CELLS)), "--threads", threads, "--threads-batch", threads)
        cuda = wheel_files.require_listed(wheel_files.listed()[llama_gpu.LIBRARY])
        with tempfile.TemporaryDirectory(prefix="bench-peer-") as folder:
            Path(folder).chmod(0o755)
            server = LlamaServer(Path(shutil.copytree(self.server.folder, Path(folder, "server"))))
            shutil.copy(cuda, server.folder)
            with plain_llama_server(self.model, server, (*sizes, *PEER_FLAGS), cuda_libraries(cuda)) as served:
                yield LlamaServerCompletions(served.socket)


def cuda_libraries(cuda: Path) -> tuple[Path, ...]:
    """Where CUDA's runtime and cuBLAS lie, seen from the wheel's library (sources/native/ggml-cuda.cmake)."""
    return ((cuda.parent / "../../nvidia/cu13/lib").resolve(),)


def _threads() -> int:
    return len(os.sched_getaffinity(0))
