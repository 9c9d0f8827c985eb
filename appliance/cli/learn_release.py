"""`sovereign learn cases import --from-release` and `accept`: what other sites learnt, as the release carries it."""

from __future__ import annotations

import asyncio
import uuid
from typing import TYPE_CHECKING, Annotated

import typer

from airgap_bundle.store import Store
from appliance.cli.learn_site import described_site, enter, released_cases
from appliance.cli.reached import reached
from appliance.cli.terminal import OutputFormat, OutputOption, PassphraseFdOption, emit, say
from appliance.errors import UsageError
from appliance.gateway.errors import ConflictError, NotFoundError
from appliance.install.release_description import active_version
from appliance.learning.exchange.released import FILE, KIND, MAX_BYTES, Released, read_released

if TYPE_CHECKING:
    from collections.abc import Sequence

    from appliance.learning.cases import Case
    from appliance.site.paths import SitePaths


def offer(context: typer.Context, groups: Sequence[str], passphrase_fd: int | None, output: OutputFormat) -> None:
    """Offer what the active release carries to ``groups``, or to those that were offered something before."""
    paths = reached(context)
    known = [group.name for group in described_site(paths).groups]
    if unknown := [name for name in groups if name not in known]:
        raise UsageError(f"{unknown[0]!a} is not a group of this site", f"its groups are {', '.join(known)}")
    version, released = _carried(paths)

    async def act() -> dict[str, int]:
        async with released_cases(paths, passphrase_fd) as store:
            named = tuple(dict.fromkeys(groups)) or tuple(one for one in await store.groups() if one in known)
            if not named:
                raise UsageError("to whom they are offered is not said", "name groups, with --group")
            figures = {
                "release": version,
                "file": released.digest,
                "cases": len(released.cases),
                "retired": len(released.retired),
                "groups": list(named),
            }
            await asyncio.to_thread(enter, paths, what="cases", target="release", figures=figures)
            return await store.offer(released, named)

    done = asyncio.run(act())
    line = ", ".join(f"{count} {name}" for name, count in done.items())
    emit({"release": version, **done}, output, lambda console: console.print(line, markup=False))
    if done["offered"]:
        say("offered cases are asked of nobody: experts accept them on /expert, or `sovereign learn cases accept ID`")


def accept(
    context: typer.Context,
    case: Annotated[list[str], typer.Argument(metavar="ID", help="Offered cases, by id, as `list` shows them.")],
    passphrase_fd: PassphraseFdOption = None,
    output: OutputOption = OutputFormat.table,
) -> None:
    """Put offered cases in force for the group that each was offered to: all of them or none. `retire` declines one."""
    paths = reached(context)
    described_site(paths)
    ids = [_id(one) for one in case]

    async def act() -> tuple[Case, ...]:
        async with released_cases(paths, passphrase_fd) as store:
            figures = {"accepted": [str(one) for one in ids]}
            await asyncio.to_thread(enter, paths, what="cases", target="release", figures=figures, action="update")
            try:
                return await store.accept(ids)
            except NotFoundError as error:
                raise UsageError(str(error), "`sovereign learn cases list` names them") from error
            except ConflictError as error:
                raise UsageError(str(error), "an expert of the group decides, on the page /expert") from error

    done = asyncio.run(act())
    emit({"accepted": [str(one.id) for one in done]}, output, lambda console: console.print(f"accepted: {len(done)}"))


def _carried(paths: SitePaths) -> tuple[str, Released]:
    """Version and cases of the active release, every byte hashed again. Raises ``UsageError`` where it has none."""
    version = active_version(paths)
    release = Store(paths.store).open_release(version)
    found = [one for one in release.artifacts.values() if one.kind == KIND]
    if len(found) != 1 or FILE not in found[0].files:
        raise UsageError(f"release {version} carries no cases", "ask its builder")
    with found[0].files[FILE].open() as stream:
        return version, read_released(stream.read(MAX_BYTES + 1))


def _id(case: str) -> uuid.UUID:
    try:
        return uuid.UUID(case)
    except ValueError:
        raise UsageError(f"{case!a} is no case's id", "`sovereign learn cases list` names them") from None
