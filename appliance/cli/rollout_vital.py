"""Vital cases of a pack that is on its way, asked again: experts may have added one, and models do not stand still.

One that fails takes the pack back from everybody, whatever else it made better.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from appliance.cli.learn_evaluate import client_of, share_of
from appliance.cli.pack_gate import Order, cases_for
from appliance.cli.pack_trial import Trial, vital_failures
from appliance.install.own_folder import own_folder
from appliance.packs.record import NONE
from appliance.packs.shelf import pick

if TYPE_CHECKING:
    from appliance.gateway.rollout_values import Rollout
    from appliance.site.config import SiteConfig
    from appliance.site.paths import SitePaths

_SEED = 1
_MAX_TOKENS = 256


def broken(paths: SitePaths, site: SiteConfig, found: Rollout, passphrase_fd: int | None) -> tuple[str, ...]:
    """Vital cases that do not hold under what is rolled out; of a brief none are asked here.

    Raises ``UnavailableError`` where not everything could be asked.
    """
    if found.kind != "pack":
        return ()
    wanted = None if found.change == NONE else pick(paths.packs, found.change)
    order = Order(paths, site, found.group, wanted, passphrase_fd)
    vital = tuple(one for one in cases_for(order, None) if one.content.vital)
    if not vital:
        return ()
    program = client_of(site, None)
    budget = share_of(site, (found.group,))
    with own_folder() as folder:
        trial = Trial(found.group, found.change, found.former, vital, _SEED, _MAX_TOKENS, budget, folder)
        return asyncio.run(vital_failures(paths, site, program, trial, passphrase_fd))
