"""Packs of a cluster: a gateway reads them from a ConfigMap's volume; what does not reach it is not in force."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest

from appliance.cli import pack_choice, pack_site
from appliance.cluster.packs import files_of
from appliance.errors import DeploymentError
from appliance.gateway.packs import Packs
from appliance.packs.errors import PackLostError
from tests.integration.gateway.conftest import pool_of
from tests.integration.gateway.pack_site import ONE, TWO, Site, running, use
from tests.unit.cluster.test_packs import laid_out

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from appliance.site.paths import SitePaths
    from tests.gateway import postgres


class Gateway:
    """A gateway's pod with its volume, to which commands bring packs while the cluster ``takes`` them."""

    def __init__(self, site: Site, volume: Path) -> None:
        self.site, self.volume, self.takes = site, volume, True

    def bring(self, paths: SitePaths) -> None:
        if not self.takes:
            raise DeploymentError("assistant-1 on node2 does not have the packs yet")
        laid_out(self.volume, files_of(paths.packs))

    def answers_under(self, group: str = "clerks") -> str:
        async def act() -> str:
            pool = pool_of(self.site.cluster)
            try:
                return await Packs(pool, self.volume).chosen(group)
            finally:
                await pool.dispose()

        return asyncio.run(act())


@pytest.fixture
def gateway(tmp_path: Path, cluster: postgres.Cluster, monkeypatch: pytest.MonkeyPatch) -> Iterator[Gateway]:
    with running(tmp_path, cluster, monkeypatch) as site:
        found = Gateway(site, tmp_path / "volume")
        for module in (pack_choice, pack_site):
            monkeypatch.setattr(module, "served", found.bring)
        yield found


def test_the_gateway_answers_under_what_was_put_in_force_and_gone_back_to(gateway: Gateway) -> None:
    gateway.site.bring()
    assert gateway.answers_under() == "none"
    use(gateway.site, ONE)
    use(gateway.site, TWO)
    assert gateway.answers_under() == TWO.digest
    gateway.site.told("back", "--group", "clerks")
    assert gateway.answers_under() == ONE.digest


def test_a_pack_that_does_not_reach_the_gateways_is_in_force_nowhere(gateway: Gateway) -> None:
    gateway.site.bring()
    use(gateway.site, ONE)
    gateway.takes = False
    gateway.site.refused(DeploymentError, "use", TWO.name, "--group", "clerks")
    assert gateway.answers_under() == ONE.digest
    gateway.takes = True
    use(gateway.site, TWO)
    assert gateway.answers_under() == TWO.digest


def test_a_volume_that_lags_behind_answers_nobody_of_the_group(gateway: Gateway) -> None:
    """The cluster took it, and this gateway's volume is of before: file and database disagree."""
    gateway.site.bring()
    use(gateway.site, ONE)
    before = files_of(gateway.site.paths.packs)
    use(gateway.site, TWO)
    laid_out(gateway.volume, before)
    with pytest.raises(PackLostError):
        gateway.answers_under()
