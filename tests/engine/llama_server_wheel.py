"""The wheel of llama-cpp-python with llama-server in it, as docs/guides/engine-builds.md has a builder make it.

    python -m tests.engine.llama_server_wheel

compiles it unless the cache has it, which takes minutes, and prints where it is.
"""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path

from airgap_bundle.build.cache import BuildCache
from airgap_bundle.build.fetch import fetch_locked
from airgap_bundle.build.inputs import Request
from airgap_bundle.build.native_wheel import cache_file, compile_wheel, include_digests, with_toolchain
from airgap_bundle.build.stage import printed
from airgap_bundle.build.toolchain import this_toolchain
from airgap_bundle.lock import load_lock
from tests.engine.llama_server_build import LOCK

INCLUDE = {"llama_cpp": "native/llama-server.cmake"}


def build_wheel() -> Path:
    """The lock's recipe with the include for llama-server, carried out by this machine's toolchain."""
    lock, cache = load_lock(LOCK), BuildCache.default()
    locked = next(recipe for recipe in lock.compiled if recipe.name == "llama-cpp-python")
    included = {**locked.project_include, **INCLUDE}
    asked = replace(locked, project_include=included, include_sha256=include_digests(included, LOCK.parent))
    request = Request(asked.artifact, "sdist", *asked.source)
    sdist = fetch_locked([(request, lock.find(request.key))], cache, printed)[request.key]
    made = compile_wheel(with_toolchain(asked, this_toolchain()), sdist, LOCK.parent, cache, printed)
    return cache_file(cache, made).path


if __name__ == "__main__":
    sys.stdout.write(f"{build_wheel()}\n")
