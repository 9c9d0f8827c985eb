"""What compiles here: compiler, linker and build tools by their exact versions. Standard library only."""

from __future__ import annotations

import importlib.metadata
import os
import shutil
import sys
from dataclasses import dataclass
from pathlib import Path

from airgap_bundle.build.process import find_program, run
from airgap_bundle.errors import BuildError

C_COMPILER = "gcc"
CXX_COMPILER = "g++"
CUDA_COMPILER = "nvcc"
TOOLS = ("cmake", "ninja", "scikit-build-core")


@dataclass(frozen=True)
class Toolchain:
    """Versions that shape compiled bytes; ``cuda`` is NVIDIA's compiler, empty where there is none."""

    python: str
    compiler: str
    linker: str
    tools: dict[str, str]
    cuda: str = ""


def this_toolchain() -> Toolchain:
    """The toolchain of this machine and Python environment. Raises ``BuildError`` for what is missing."""
    hint = "install gcc, g++ and binutils (Debian: build-essential)"
    versions = [_first_line([find_program(name, hint), "--version"]) for name in (C_COMPILER, CXX_COMPILER, "ld")]
    return Toolchain(
        f"{sys.version_info.major}.{sys.version_info.minor}",
        "; ".join(versions[:2]),
        versions[2],
        {name: _tool_version(name) for name in TOOLS},
        cuda=_cuda(),
    )


def _cuda() -> str:
    """The release of NVIDIA's compiler and its build, as `nvcc --version` says it; empty where none answers."""
    environment = build_environment(0)
    found = shutil.which(CUDA_COMPILER, path=environment["PATH"])
    try:
        said = "" if found is None else run([found, "--version"], env=environment)
    except BuildError:
        return ""
    return next((line.strip() for line in said.splitlines() if "release" in line), "")


def build_environment(epoch: int) -> dict[str, str]:
    """Environment of a compilation: our compilers and tools first, nobody's flags, a fixed date."""
    return {
        "PATH": os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", os.defpath)]),
        "CC": C_COMPILER,
        "CXX": CXX_COMPILER,
        "CFLAGS": "",
        "CXXFLAGS": "",
        "LDFLAGS": "",
        "CUDACXX": CUDA_COMPILER,
        "CUDAHOSTCXX": "",
        "CUDAFLAGS": "",
        "CUDAARCHS": "",
        "NVCC_PREPEND_FLAGS": "",
        "NVCC_APPEND_FLAGS": "",
        "CMAKE_GENERATOR": "Ninja",
        "LC_ALL": "C",
        "PYTHONHASHSEED": "0",
        "SOURCE_DATE_EPOCH": str(epoch),
    }


def _first_line(argv: list[str]) -> str:
    return run(argv, env={"LC_ALL": "C"}).splitlines()[0].strip()


def _tool_version(name: str) -> str:
    try:
        return importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError as error:
        raise BuildError(f"this Python environment has no {name}", "install requirements/build.txt into it") from error
