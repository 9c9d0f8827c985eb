"""`sovereign bundle lock` and `sovereign bundle build`: the commands of a builder on a connected machine."""

from __future__ import annotations

import importlib
import importlib.util
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from airgap_bundle.build.cache import BuildCache
from appliance.cli.terminal import OutputFormat, OutputOption, emit, progress
from appliance.errors import UsageError

if TYPE_CHECKING:
    from types import ModuleType

    from rich.console import Console

BUILD_TOOLS = ("pip", "hatchling", "cyclonedx", "packageurl", "sigstore")
DEFAULT_RELEASE = Path("sources/release.yaml")

ReleaseOption = Annotated[Path, typer.Option("--release", metavar="FILE", help="The release description.")]
LockOption = Annotated[
    Path | None, typer.Option("--lock", metavar="FILE", help="The lock; default: release.lock beside the description.")
]


def register(app: typer.Typer) -> None:
    """Add the builder's commands to the group ``bundle``."""
    app.command("lock")(lock)
    app.command("build")(build)


def require_builder() -> None:
    """Raise ``UsageError`` in a site's environment, which does not have the tools, before anything is done."""
    missing = [tool for tool in BUILD_TOOLS if importlib.util.find_spec(tool) is None]
    if missing:
        raise UsageError(
            f"this environment cannot build bundles: it has no {' and no '.join(missing)}",
            "build on a connected machine, from the source tree, after `make venv`",
        )


def _builder() -> ModuleType:
    """The building half."""
    require_builder()
    return importlib.import_module("airgap_bundle.build.release")


def lock(
    release: ReleaseOption = DEFAULT_RELEASE,
    relock: Annotated[
        list[str] | None,
        typer.Option("--relock", metavar="NAME", help="Lock this input anew although it is locked; repeatable."),
    ] = None,
    lock_file: LockOption = None,
    output: OutputOption = OutputFormat.table,
) -> None:
    """Resolve a release description: write down every input by digest, and compile what must be compiled."""
    builder = _builder()
    path = lock_file or release.with_suffix(".lock")
    cache = BuildCache.default()
    made, changes = builder.lock_release(release, lock=path, cache=cache, stage=progress, relock=relock or ())
    data = {
        "lock": str(path),
        "inputs": len(made.inputs),
        "compiled": len(made.compiled),
        "images": len(made.images),
        "programs": len(made.programs),
        "packages": sum(len(item.packages) for item in made.packages),
        "changes": list(changes),
    }

    def render(console: Console) -> None:
        for change in changes:
            console.print(change, markup=False, soft_wrap=True)
        counts = {"images": data["images"], "programs": data["programs"], "debian packages": data["packages"]}
        more = "".join(f", {count} {name}" for name, count in counts.items() if count)
        console.print(f"{path}: {len(made.inputs)} inputs, {len(made.compiled)} compiled here{more}", markup=False)

    emit(data, output, render)


def build(
    out: Annotated[Path, typer.Option("--out", metavar="DIR", help="Folder that receives the bundle.")],
    release: ReleaseOption = DEFAULT_RELEASE,
    lock_file: LockOption = None,
    output: OutputOption = OutputFormat.table,
) -> None:
    """Build the locked release into an unsigned bundle; fetches what the cache lacks and checks it against the lock."""
    built = _builder().build_release(release, out, lock=lock_file, cache=BuildCache.default(), stage=progress)

    def render(console: Console) -> None:
        console.print(f"{built.name} {built.version} (release {built.number}) in {built.folder}", markup=False)
        for name, kind, version in built.artifacts:
            console.print(f"  {kind:<13} {name} {version}", markup=False)
        console.print(f"  {built.blobs} blobs, {built.size / 2**20:.0f} MiB", markup=False)
        console.print(f"  index.json {built.index}", markup=False, soft_wrap=True)

    emit(asdict(built), output, render)
