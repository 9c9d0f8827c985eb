"""Packs, which group uses which, and the records of the loop go into a backup, and come back with it."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING

from appliance.install.backup import restoring
from appliance.install.backup.contents import unpack, write_site
from appliance.packs.record import read_record, write_record
from appliance.packs.shelf import keep, open_pack
from appliance.site.paths import SitePaths
from tests import packs

if TYPE_CHECKING:
    from pathlib import Path


def test_a_restored_site_answers_under_the_packs_that_it_was_backed_up_with_and_knows_what_it_judged(
    tmp_path: Path,
) -> None:
    site = SitePaths(tmp_path / "site")
    for folder in (site.packs, site.policies, site.tls, site.trust, site.journal.parent):
        folder.mkdir(parents=True)
    site.journal.write_bytes(b"")
    (site.trust / "state-a.json").write_text("{}")
    pack = packs.pack()
    keep(site.packs, pack.to_bytes(), packs.signed(pack))
    write_record(site.packs, {"analysts": pack.digest})
    kept = {site.exchange.name: b"what was sent", site.judged.name: b"what passed"}
    for name, said in kept.items():
        site.journal.with_name(name).write_bytes(said)
    archive = io.BytesIO()
    write_site(site)(archive)
    archive.seek(0)
    staged, again = SitePaths(tmp_path / "staged"), SitePaths(tmp_path / "again")
    unpack(archive, staged.root)
    again.root.mkdir()
    restoring._place(staged, again)
    assert read_record(again.packs) == {"analysts": pack.digest}
    assert open_pack(again.packs, pack.digest) == pack
    assert {name: again.journal.with_name(name).read_bytes() for name in kept} == kept
    assert {path.stat().st_mode & 0o777 for path in again.packs.iterdir()} == {0o644}  # gateways read them
