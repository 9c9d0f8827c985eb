"""`sovereign pack import`, `list`, `back` and `drop`: the packs of a site."""

from __future__ import annotations

import asyncio
from pathlib import Path  # noqa: TC003 - typer reads the annotations at run time
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.table import Table
from rich.text import Text

from appliance.cli.learn_site import described_site, site_database
from appliance.cli.pack_choice import choose, recorded, settled, told
from appliance.cli.pack_served import served
from appliance.cli.pack_standing import about_pack, clock_of, root_in_force
from appliance.cli.reached import reached
from appliance.cli.terminal import OutputFormat, OutputOption, PassphraseFdOption, emit, say
from appliance.gateway.pack_choices import ChoiceStore, Chosen
from appliance.install.decisions import demand_log, installed, tell_log
from appliance.install.lock import site_lock
from appliance.install.model_record import operator
from appliance.install.pack_import import bring, check_may
from appliance.install.pack_record import note
from appliance.packs.errors import PackError, PackLostError
from appliance.packs.record import NONE, read_record
from appliance.packs.shelf import open_pack, pick, remove, shelved

if TYPE_CHECKING:
    from collections.abc import Mapping

    from rich.console import Console

    from appliance.site.paths import SitePaths

PackArgument = Annotated[
    str, typer.Argument(metavar="PACK", help="Its name, NAME@VERSION, or the beginning of its digest.")
]
GroupOption = Annotated[str, typer.Option("--group", metavar="GROUP", help="A group of site.yaml.")]


def register(app: typer.Typer) -> None:
    """Add the commands to the group ``pack``."""
    app.command("import")(import_command)
    app.command("list")(list_command)
    app.command()(back)
    app.command()(drop)


def import_command(
    context: typer.Context,
    file: Annotated[Path, typer.Argument(metavar="FILE.pack", help="The pack; its signatures lie beside it.")],
    signature: Annotated[
        Path | None, typer.Option("--signature", metavar="FILE", help="Its signatures; default: FILE.pack.sig.")
    ] = None,
    output: OutputOption = OutputFormat.table,
) -> None:
    """Take a pack in, once its signatures, its bytes and the site's policy pass. No group answers under it for that."""
    paths = reached(context)
    done = bring(paths, file, signature)
    served(paths)
    shown = {
        "pack": done.digest,
        "name": done.pack.name,
        "version": done.pack.version,
        "signers": list(done.signed.signers),
        "expires": done.signed.expires.isoformat(),
        "new": done.new,
    }
    line = f"{done.pack.name} {done.pack.version} {done.digest}, signed by {', '.join(done.signed.signers)}"
    emit(shown, output, lambda console: console.print(line, markup=False, soft_wrap=True))
    say_unlogged(done.unlogged)


def list_command(context: typer.Context, output: OutputOption = OutputFormat.table) -> None:
    """List the site's packs, who signed them, whether they may be chosen now, and which group uses which."""
    paths = reached(context)
    site = described_site(paths)
    used = recorded(paths)
    root = root_in_force(paths)
    whole, damaged = shelved(paths.packs)
    rows: list[dict[str, Any]] = [
        {
            "pack": one.digest,
            "name": one.pack.name,
            "version": one.pack.version,
            "number": one.pack.number,
            "language": one.pack.language,
            "withdrawn": one.withdrawn(root, clock_of(paths)),
            "groups": _using(used, one.digest),
        }
        for one in whole
    ]
    there = {row["pack"] for row in rows}
    lost = [*damaged, *sorted({one for one in used.values() if one not in {NONE, *there, *damaged}})]
    rows += [{"pack": one, "state": "damaged", "groups": _using(used, one)} for one in lost]
    without = [group.name for group in site.groups if group.models and used.get(group.name, NONE) == NONE]

    def render(console: Console) -> None:
        table = Table("pack", "digest", "language", "may be chosen", "groups")
        for row in rows:
            name = f"{row['name']} {row['version']}" if "name" in row else "damaged or not there"
            may = "no" if "name" not in row else row["withdrawn"] or "yes"
            words = (name, row["pack"][:19], row.get("language", "-"), may, ", ".join(row["groups"]) or "-")
            table.add_row(*map(Text, words))
        console.print(table)
        console.print(f"without a pack: {', '.join(without) or 'no group'}", markup=False)

    emit({"packs": rows, "without": without}, output, render)
    try:
        read_record(paths.packs)
    except PackLostError as error:
        say(f"{error.cause}: nobody is answered until it is written anew; {error.hint}")


def back(
    context: typer.Context,
    group: GroupOption,
    passphrase_fd: PassphraseFdOption = None,
    output: OutputOption = OutputFormat.table,
) -> None:
    """Return a group to the pack that it answered under before: at once, without a gate, whoever has left since."""
    paths = reached(context)
    site = installed(paths)
    check_may(paths)

    async def act() -> tuple[Chosen, str, str | None]:
        async with site_database(paths, passphrase_fd) as pool:
            store = ChoiceStore(pool)
            now = (await settled(paths, store)).get(group)
            if now is None or (now.pack == NONE and not now.before):
                raise PackError(f"{group} answers under no pack, and there is none before", "see `sovereign pack list`")
            wanted, rest = _before(paths, now)
            unlogged = await choose(
                paths,
                site,
                store,
                action="back",
                group=group,
                pack=wanted,
                before=rest,
                former=now.pack,
                about=about_pack(paths, wanted),
            )
            return now, wanted, unlogged

    with site_lock(paths):
        now, wanted, unlogged = asyncio.run(act())
    shown = {"group": group, "pack": wanted, "former": now.pack}
    emit(
        shown,
        output,
        lambda console: console.print(
            f"{group} answers under {told(wanted)} instead of {told(now.pack)}", markup=False
        ),
    )
    say_unlogged(unlogged)


def drop(
    context: typer.Context,
    pack: PackArgument,
    passphrase_fd: PassphraseFdOption = None,
    output: OutputOption = OutputFormat.table,
) -> None:
    """Remove a pack that no group uses; no group can go back to it then. An older one does not come in for that."""
    paths = reached(context)
    site = installed(paths)
    check_may(paths)

    async def act(digest: str, about: Mapping[str, str]) -> str | None:
        async with site_database(paths, passphrase_fd) as pool:
            store = ChoiceStore(pool)
            found = await settled(paths, store)
            rolled = {one.group for one in await store.rollouts.all_running() if digest in {one.former, one.change}}
            using = sorted(
                {name for name, one in found.items() if one.pack == digest} | set(_using_now(paths, digest)) | rolled
            )
            if using:
                raise PackError(f"{', '.join(using)} answers under it", "`sovereign pack use` another, or `pack back`")
            demand_log(site, paths)
            await store.forget(digest)
            note(paths, "drop", "done", digest, {**about, "by": operator()})
            remove(paths.packs, digest)
            served(paths)
            return tell_log(site, paths)

    with site_lock(paths):
        digest, about = _named(paths, pack)
        unlogged = asyncio.run(act(digest, about))
    emit({"pack": digest, **about}, output, lambda console: console.print(f"dropped: {digest}", markup=False))
    say_unlogged(unlogged)


def _named(paths: SitePaths, pack: str) -> tuple[str, dict[str, str]]:
    """Digest of what is to be dropped, and what is known of it; a damaged pack is named by its digest."""
    damaged = [one for one in shelved(paths.packs)[1] if pack.startswith("sha256:") and one.startswith(pack)]
    if len(damaged) == 1:
        return damaged[0], {"name": "unknown"}
    found = pick(paths.packs, pack)
    return found.digest, {"name": found.pack.name, "version": found.pack.version}


def _before(paths: SitePaths, now: Chosen) -> tuple[str, tuple[str, ...]]:
    """What is gone back to: the latest that is still there, or none; and what lies before that."""
    for at, one in enumerate(now.before):
        if one == NONE or _is_there(paths, one):
            return one, now.before[at + 1 :]
    return NONE, ()


def _is_there(paths: SitePaths, digest: str) -> bool:
    try:
        open_pack(paths.packs, digest)
    except PackLostError:
        return False
    return True


def _using(used: Mapping[str, str], digest: str) -> list[str]:
    return sorted(group for group, one in used.items() if one == digest)


def _using_now(paths: SitePaths, digest: str) -> list[str]:
    return _using(recorded(paths), digest)


def say_unlogged(unlogged: str | None) -> None:
    """Say where the log lacks what was done."""
    if unlogged is not None:
        say(f"the audit log has no entry about it yet: {unlogged}; `sovereign up` enters it, on a cluster the next run")
