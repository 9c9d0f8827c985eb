"""Putting a pack in force for a group, under the site's own lock: file and database together, or neither.

Order: the journal announces the choice; inside one transaction the row is written, then the file; the transaction ends;
the journal's line and the log's entry follow. Whatever cuts this off leaves file and database in disagreement at most,
which answers nobody of the group, and the next command about packs brings the file to what the database says.
"""

from __future__ import annotations

from contextlib import suppress
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from sqlalchemy.exc import SQLAlchemyError

from appliance.cli.pack_served import served
from appliance.errors import UsageError
from appliance.gateway.pack_choices import Chosen
from appliance.install.decisions import demand_log, tell_log
from appliance.install.journal import beside
from appliance.install.model_record import INTERRUPTED, operator
from appliance.install.pack_record import last_choices, left_open, note
from appliance.packs.errors import PackLostError
from appliance.packs.record import NONE, read_record, write_record

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping

    from sqlalchemy.ext.asyncio import AsyncConnection

    from appliance.gateway.pack_choices import ChoiceStore
    from appliance.install.pack_record import Action
    from appliance.site.config import SiteConfig
    from appliance.site.paths import SitePaths


def recorded(paths: SitePaths) -> dict[str, str]:
    """What the file says; of groups that it does not name, all where it is damaged or lost, what the journal says.

    So whoever writes it anew for one group takes no other out of it: a group whose database row is lost as well stays
    refused, and is not answered without its pack.
    """
    said: dict[str, str] = {}
    with suppress(PackLostError):
        said = read_record(paths.packs)
    return {**last_choices(paths), **said}


def stands(paths: SitePaths, group: str, chosen: str | None) -> bool:
    """Whether the file is whole and says ``chosen`` of ``group``; None: nothing, of a group that never had a choice."""
    try:
        said = read_record(paths.packs).get(group)
    except PackLostError:
        return False
    return said == chosen and (said is not None or group not in last_choices(paths))


async def settled(paths: SitePaths, store: ChoiceStore) -> dict[str, Chosen]:
    """Bring what a power cut left of a choice to its end; every choice by group. The caller holds the site's lock.

    A group whose row is lost keeps in the file what it was put under last: it stays refused.
    """
    found, last = await store.all(), last_choices(paths)
    for record in left_open(paths):
        group = record.detail.get("group", "")
        chosen = found.get(group)
        _put_down(paths, group, chosen.pack if chosen is not None else last.get(group))
        made = chosen is not None and (chosen.pack, chosen.since.isoformat()) == (
            record.digest,
            record.detail.get("since"),
        )
        detail = dict(record.detail) if made else {**record.detail, "error": INTERRUPTED}
        action: Action = record.step.removeprefix("pack-")  # type: ignore[assignment]  # of CHOICES, each an action
        note(paths, action, "done" if made else "failed", record.digest, detail)
    return found


async def choose(  # noqa: PLR0913 - what a choice consists of, by keyword
    paths: SitePaths,
    site: SiteConfig,
    store: ChoiceStore,
    *,
    action: Action,
    group: str,
    pack: str,
    before: tuple[str, ...],
    former: str,
    about: Mapping[str, str],
    within: Callable[[AsyncConnection], Awaitable[None]] | None = None,
) -> str | None:
    """Put ``pack`` (a digest, or ``none``) in force for ``group``. The caller holds the site's lock.

    Returns why the log has no entry about it yet, or None: it has. Raises ``DeploymentError`` where the log does not
    answer or the disk is full, ``UnavailableError`` where the database does not, ``UsageError`` while a
    rollout runs in the group, unless this is its end (``within``); what was in force is so then.
    """
    if within is None and action != "mend" and await store.rollouts.running(group) is not None:
        raise UsageError(f"a rollout runs in {group}", "`sovereign learn rollout back` ends it at once")
    demand_log(site, paths)
    since = datetime.now(UTC).replace(microsecond=0)
    detail = {"group": group, "former": former, "since": since.isoformat(), "by": operator(), **about}
    there = recorded(paths)
    note(paths, action, "started", pack, detail)
    try:
        await store.put(
            Chosen(group, pack, before, detail["by"], since),
            lambda _: _write(paths, {**there, group: pack}),
            within,
        )
    except Exception as error:
        with beside(error), suppress(SQLAlchemyError):  # whether it was committed, the database alone can tell
            await settled(paths, store)
        raise
    note(paths, action, "done", pack, detail)
    return tell_log(site, paths)


def _put_down(paths: SitePaths, group: str, pack: str | None) -> None:
    """Let the file say ``pack`` of ``group``; None: nothing."""
    said = {name: one for name, one in recorded(paths).items() if name != group}
    _write(paths, said if pack is None else {**said, group: pack})


def _write(paths: SitePaths, groups: Mapping[str, str]) -> None:
    write_record(paths.packs, groups)
    served(paths)


def told(pack: str) -> str:
    """A choice in a few characters."""
    return pack if pack == NONE else f"{pack[:19]}…"
