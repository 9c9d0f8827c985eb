"""Inputs into the cache: what the lock names, or, when locking, what the ordinary clients give for a name and version.

What lies in the cache is hashed before it is believed. What is missing is fetched in small batches, each kept as soon
as it is complete, so that an interrupted build goes on where it was. A fetched file is compared with the lock by us,
whatever the client checked. Standard library only (see the package's docstring).
"""

from __future__ import annotations

from itertools import groupby
from typing import TYPE_CHECKING, Literal

from airgap_bundle.build import maven, python_packages
from airgap_bundle.build.process import ProgramError
from airgap_bundle.errors import LockError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
    from pathlib import Path

    from airgap_bundle.build.cache import BuildCache, CachedFile
    from airgap_bundle.build.inputs import Request
    from airgap_bundle.build.python_packages import Target
    from airgap_bundle.build.stage import Stage
    from airgap_bundle.lock import Key, LockedInput

BATCH_FILES = 16
BATCH_BYTES = 64 << 20


def fetch_locked(
    wanted: Sequence[tuple[Request, LockedInput]], cache: BuildCache, stage: Stage
) -> dict[Key, CachedFile]:
    """Every locked input from the cache, fetching what is missing; each file once, whatever asks for it.

    Raises ``LockError`` naming the input that vanished or changed since it was locked.
    """
    needed = {locked: request for request, locked in reversed(wanted)}
    found: dict[LockedInput, CachedFile] = {}
    total, done = sum(locked.size for locked in needed), 0
    with stage("check inputs") as advance:
        for locked in needed:
            file = cache.verified(locked.sha256, locked.size)
            done += locked.size
            advance(done, total)
            if file is not None:
                found[locked] = file
    missing = {request.key: locked for locked, request in needed.items() if locked not in found}
    if missing:
        pinned = [needed[locked].pinned(locked) for locked in missing.values()]
        sizes = {key: locked.size for key, locked in missing.items()}
        for request, got, file in _fetch(pinned, sizes, cache, stage):
            if got.sha256 != missing[request.key].sha256:
                raise LockError(f"{got.name} {got.version} changed since it was locked", _relock(got.name))
            found[missing[request.key]] = file
    return {request.key: found[locked] for request, locked in wanted}


def resolve(requests: Sequence[Request], cache: BuildCache, stage: Stage) -> tuple[LockedInput, ...]:
    """Fetch ``requests`` and say what came: the entries of a new lock."""
    return tuple(locked for _, locked, _ in _fetch(requests, {}, cache, stage))


def _fetch(
    requests: Sequence[Request], sizes: Mapping[Key, int], cache: BuildCache, stage: Stage
) -> Iterator[tuple[Request, LockedInput, CachedFile]]:
    total = sum(sizes.values())
    arrived = 0
    with stage("fetch inputs") as advance:
        for batch in _batches(requests, sizes):
            before = arrived

            def on_bytes(count: int) -> None:
                nonlocal arrived
                arrived += count
                advance(min(arrived, total) if total else arrived, total)

            got = list(_fetch_batch(batch, cache, on_bytes))
            arrived = before + sum(file.size for _, _, file in got)
            advance(arrived, max(total, arrived) if total else 0)
            yield from got


def _batches(requests: Iterable[Request], sizes: Mapping[Key, int]) -> Iterator[list[Request]]:
    """Requests that one client call can fetch together, no more than an interruption may lose."""

    def together(request: Request) -> tuple[str, str, bool]:
        return request.kind, repr(request.target), bool(request.hashes)  # pip wants all hashed or none

    for (kind, _, _), group in groupby(sorted(requests, key=lambda item: (*together(item), item.key)), key=together):
        batch: list[Request] = []
        volume = 0
        for request in group:
            size = sizes.get(request.key, 0)
            if batch and (kind != "wheel" or len(batch) == BATCH_FILES or volume + size > BATCH_BYTES):
                yield batch
                batch, volume = [], 0
            batch.append(request)
            volume += size
        yield batch


def _fetch_batch(
    batch: Sequence[Request], cache: BuildCache, on_bytes: Callable[[int], None]
) -> Iterator[tuple[Request, LockedInput, CachedFile]]:
    with cache.workspace() as folder:
        try:
            files = _download(batch, folder, on_bytes)
        except ProgramError as error:
            culprit = _culprit(batch, error)
            raise LockError(
                f"{culprit} cannot be fetched as asked for: {error.cause}",
                f"if it vanished or changed, {_relock(culprit)}; {error.hint or 'it said nothing'}",
            ) from error
        for request in batch:
            path = files.get((request.name, request.version))
            if path is None:
                raise LockError(f"{request.name} {request.version} was not fetched", _relock(request.name))
            file = cache.add_file(path)
            yield request, request.locked_as(path.name, file.sha256, file.size), file


def _download(batch: Sequence[Request], folder: Path, on_bytes: Callable[[int], None]) -> dict[tuple[str, str], Path]:
    request = batch[0]
    if request.kind == "maven":
        seen = 0

        def on_total(total: int) -> None:
            nonlocal seen
            on_bytes(max(total - seen, 0))
            seen = max(total, seen)

        return {(request.name, request.version): maven.download(request.coordinate(), folder, on_total=on_total)}
    target: Target | Literal["source"] = "source" if request.kind == "sdist" else request.pip_target
    return python_packages.download([item.requirement() for item in batch], folder, target=target, on_bytes=on_bytes)


def _culprit(batch: Sequence[Request], error: ProgramError) -> str:
    """Name of the input that the client complained about; of the whole batch when it named none."""
    for line in reversed(error.output):
        for request in batch:
            if f"{request.name}=={request.version}" in line or f"{request.name}:" in line:
                return request.name
    return " or ".join(request.name for request in batch)


def _relock(name: str) -> str:
    return f"run `sovereign bundle lock --relock {name}` and review what changed"
