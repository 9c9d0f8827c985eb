"""The wheel of llama-cpp-python with llama-server in it, as docs/guides/engine-builds.md has a builder make it.

    python -m tests.engine.llama_server_wheel

compiles it unless the cache has it, which takes minutes, and prints where it is.
"""

from __future__ import annotations

import sys
from dataclasses import replace
from typing import TYPE_CHECKING

from airgap_bundle.build import native_wheel
from airgap_bundle.build.cache import BuildCache, derivation_key
from airgap_bundle.build.fetch import fetch_locked
from airgap_bundle.build.inputs import Request
from airgap_bundle.build.stage import printed
from airgap_bundle.build.toolchain import this_toolchain
from airgap_bundle.lock import load_lock
from tests.engine.llama_server_build import LOCK

if TYPE_CHECKING:
    from pathlib import Path

    from airgap_bundle.compiled_recipe import CompiledRecipe

INCLUDE = {"llama_cpp": "native/llama-server.cmake"}
_CACHE = BuildCache.default()  # before any test moves the home


def _recipe() -> CompiledRecipe:
    """The lock's recipe with the include for llama-server, for this machine's toolchain."""
    locked = next(recipe for recipe in load_lock(LOCK).compiled if recipe.name == "llama-cpp-python")
    included = {**locked.project_include, **INCLUDE}
    digests = native_wheel.include_digests(included, LOCK.parent)
    asked = replace(locked, project_include=included, include_sha256=digests)
    return native_wheel.with_toolchain(asked, this_toolchain())


def cached_wheel() -> Path | None:
    """The wheel, where it was made before."""
    found = _CACHE.derived(derivation_key("native wheel", **native_wheel._shape(_recipe())))
    return None if found is None else next(iter(found.files.values())).path


def build_wheel() -> Path:
    """The wheel, compiled here unless it was before."""
    asked = _recipe()
    request = Request(asked.artifact, "sdist", *asked.source)
    sdist = fetch_locked([(request, load_lock(LOCK).find(request.key))], _CACHE, printed)[request.key]
    made = native_wheel.compile_wheel(asked, sdist, LOCK.parent, _CACHE, printed)
    return native_wheel.cache_file(_CACHE, made).path


if __name__ == "__main__":
    sys.stdout.write(f"{build_wheel()}\n")
