"""Proof that equal inputs give equal bytes: everything derived is derived twice, in different folders, and compared.

    python -m airgap_bundle.build.reproducible [--release sources/release.yaml]

Inputs come from the builder's cache; what is derived from them (the compiled wheel too, so this takes minutes) is
derived anew each time. Progress goes to stderr; the last line of stdout is one JSON object of claims.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from airgap_bundle.build.cache import BuildCache
from airgap_bundle.build.description import lock_path, requests_of
from airgap_bundle.build.fetch import fetch_locked
from airgap_bundle.build.native_wheel import compile_wheel, with_toolchain
from airgap_bundle.build.release import build_release
from airgap_bundle.build.stage import printed
from airgap_bundle.build.toolchain import this_toolchain
from airgap_bundle.errors import BundleError
from airgap_bundle.lock import Key, load_lock
from airgap_bundle.release_file import load_release

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from airgap_bundle.build.cache import CachedFile
    from airgap_bundle.build.stage import Stage
    from airgap_bundle.lock import ReleaseLock

BUNDLE = "index.json"
ROUNDS = ("first", "second-in-a-longer-folder")


def prove(release_path: Path, cache: BuildCache, stage: Stage) -> list[dict[str, object]]:
    """Claims ``{"name", "value", "holds"}`` about ``release_path``: each digest was the same in every round.

    Where a compilation gives other bytes than the lock's no bundle is built; the claim about it then does not hold.
    An edit of the tree between the two builds shows as a claim that does not hold. Raises ``BundleError`` when an
    input cannot be had or a build fails.
    """
    release, lock = load_release(release_path), load_lock(lock_path(release_path))
    wanted = [(request, lock.find(request.key)) for request in requests_of(release, release_path.parent)]
    inputs = fetch_locked(wanted, cache, stage)
    digests: dict[str, list[str]] = {recipe.name: [recipe.sha256] for recipe in lock.compiled}
    digests[BUNDLE] = []
    with cache.workspace() as scratch:
        caches = [BuildCache(scratch / name / "cache") for name in ROUNDS]
        for fresh in caches:
            for file in inputs.values():
                _share(file.path, fresh.path(file.sha256))
            for package, digest in _compile(lock, inputs, release_path.parent, fresh, stage).items():
                digests[package].append(digest)
        if all(set(digests[recipe.name]) == {recipe.sha256} for recipe in lock.compiled):
            for fresh in caches:  # one right after the other, so that the tree is the same
                built = build_release(release_path, fresh.root.parent / "bundle", cache=fresh, stage=stage)
                digests[BUNDLE].append(built.index)
    expected = {package: len(ROUNDS) + (package != BUNDLE) for package in digests}
    return [
        {
            "name": f"{package} is reproducible",
            "value": ", ".join(dict.fromkeys(found)),
            "holds": len(set(found)) == 1 and len(found) == expected[package],
        }
        for package, found in digests.items()
    ]


def _compile(
    lock: ReleaseLock, inputs: Mapping[Key, CachedFile], folder: Path, cache: BuildCache, stage: Stage
) -> dict[str, str]:
    """Digest of every compiled package, made by this machine's toolchain."""
    made = {}
    for recipe in lock.compiled:
        sdist = inputs[Key(recipe.artifact, "sdist", *recipe.source)]
        made[recipe.name] = compile_wheel(with_toolchain(recipe, this_toolchain()), sdist, folder, cache, stage).sha256
    return made


def _share(source: Path, target: Path) -> None:
    if target.exists():  # two inputs with one content
        return
    target.parent.mkdir(parents=True, exist_ok=True)
    os.link(source, target)


def main(arguments: Sequence[str]) -> int:
    """Command line of the module's docstring; 0 when every claim holds."""
    parser = argparse.ArgumentParser(prog="python -m airgap_bundle.build.reproducible")
    parser.add_argument("--release", type=Path, default=Path("sources/release.yaml"), help="the release description")
    given = parser.parse_args(arguments)
    try:
        claims = prove(given.release, BuildCache.default(), printed)
    except BundleError as error:
        sys.stderr.write(f"error: {error.cause}\n" + (f"hint: {error.hint}\n" if error.hint else ""))
        return 2
    machine = this_toolchain()
    versions = {"python": machine.python, "compiler": machine.compiler, "linker": machine.linker, **machine.tools}
    versions |= {"nvcc": machine.cuda} if machine.cuda else {}
    result = {"machine": os.uname().machine, "versions": versions, "rounds": len(ROUNDS), "claims": claims}
    sys.stdout.write(json.dumps(result) + "\n")
    return 0 if all(claim["holds"] for claim in claims) else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
