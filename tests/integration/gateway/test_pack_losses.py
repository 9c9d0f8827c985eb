"""`sovereign pack` where something is lost or cut off: nobody answers without boundaries, and nobody is stuck."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from appliance.cli import pack_choice
from appliance.errors import UnavailableError, UsageError
from appliance.gateway import database
from appliance.gateway.pack_choices import ChoiceStore, Chosen
from appliance.install import pack_import
from appliance.install.lock import SiteBusyError, site_lock
from appliance.install.status_warnings import pack_warnings
from appliance.learning.errors import GateRefusedError
from appliance.packs.errors import PackLostError, PackRefusedError
from appliance.packs.record import FILE, NONE, read_record
from appliance.site.load import load_site
from tests import packs
from tests.integration.gateway.pack_site import ONE, TWO, Site, running, use

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from appliance.site.paths import SitePaths
    from tests.gateway import postgres


@pytest.fixture
def site(tmp_path: Path, cluster: postgres.Cluster, monkeypatch: pytest.MonkeyPatch) -> Iterator[Site]:
    with running(tmp_path, cluster, monkeypatch) as found:
        yield found


def test_a_lost_record_is_written_anew_by_naming_what_is_in_force_and_by_nothing_else(site: Site) -> None:
    site.bring()
    use(site, ONE)
    (site.paths.packs / FILE).unlink()
    with pytest.raises(PackLostError):
        site.in_force()
    asked = len(site.model.asked)
    site.model.broken = 1
    site.refused(GateRefusedError, "use", "none", "--group", "clerks")  # what was lost opens nothing without a gate
    site.model.broken, asked = 0, len(site.model.asked)
    assert site.told("use", "trial", "--group", "clerks")["mended"]
    assert (site.in_force(), len(site.model.asked)) == (ONE.digest, asked)
    assert not site.told("use", "trial", "--group", "clerks")["mended"]


def test_a_damaged_record_is_mended_from_journal_and_database(site: Site) -> None:
    site.bring()
    use(site, ONE)
    use(site, TWO, "guards")
    (site.paths.packs / FILE).write_text("{")
    assert "nobody is answered" in site.run("list").stderr
    assert site.told("use", "trial", "--group", "clerks")["mended"]
    assert site.in_force() == ONE.digest
    assert site.in_force("guards") == TWO.digest  # journal and database agree
    assert not site.told("use", "second", "--group", "guards")["mended"]


@pytest.mark.parametrize("lost", ["damaged", "gone"])
def test_a_record_that_is_lost_beside_a_new_database_opens_no_group_until_each_was_put_under_its_pack(
    site: Site, lost: str
) -> None:
    site.bring()
    use(site, ONE)
    use(site, TWO, "guards")
    record = site.paths.packs / FILE
    if lost == "damaged":
        record.write_text("{")
    else:
        record.unlink()
    with site.cluster.admin("sovereign") as admin:
        admin.execute("TRUNCATE group_pack")
    listed = site.told("list")
    assert {one["name"]: one["groups"] for one in listed["packs"]} == {"trial": ["clerks"], "second": ["guards"]}
    (warned, *_) = pack_warnings(load_site(site.paths.site_yaml), site.paths, packs.soon())
    assert "packs/groups.json" in warned
    site.model.broken = 1
    site.refused(GateRefusedError, "use", "second", "--group", "clerks")  # what was lost opens nothing without a gate
    site.model.broken = 0
    site.refused(UsageError, "use", "none", "--group", "clerks")
    assert site.told("use", "trial", "--group", "clerks")["mended"]
    assert site.in_force() == ONE.digest
    with pytest.raises(PackLostError):  # the one that was mended takes no other out of the record
        site.in_force("guards")
    assert site.told("use", "second", "--group", "guards")["mended"]
    assert site.in_force("guards") == TWO.digest


def test_a_damaged_record_at_a_site_without_a_choice_sticks_no_group(site: Site) -> None:
    (site.paths.packs).mkdir(exist_ok=True)
    (site.paths.packs / FILE).write_text("{")
    assert not site.told("use", "none", "--group", "clerks", "--dry-run")["mended"]
    with pytest.raises(PackLostError):
        read_record(site.paths.packs)
    assert site.told("use", "none", "--group", "clerks")["mended"]
    assert read_record(site.paths.packs) == {"clerks": NONE}
    assert site.in_force() == NONE
    assert not site.told("use", "none", "--group", "clerks")["mended"]


def test_a_database_made_anew_is_told_and_mended_from_the_file(site: Site) -> None:
    site.bring()
    use(site, ONE)
    with site.cluster.admin("sovereign") as admin:
        admin.execute("TRUNCATE group_pack")
    with pytest.raises(PackLostError):
        site.in_force()
    site.model.broken = 1
    site.refused(GateRefusedError, "use", "second", "--group", "clerks")
    assert site.told("use", "trial", "--group", "clerks")["mended"]
    assert site.in_force() == ONE.digest


def test_a_choice_that_is_cut_off_beside_a_database_made_anew_takes_no_group_out_of_its_pack(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Neither half would name the group then, and it would be answered without boundaries."""
    site.bring()
    use(site, ONE)
    with site.cluster.admin("sovereign") as admin:
        admin.execute("TRUNCATE group_pack")

    async def cut(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(ChoiceStore, "put", cut)
        assert isinstance(site.run("use", "second", "--group", "clerks").exception, KeyboardInterrupt | SystemExit)
    with pytest.raises(PackLostError):
        site.in_force()
    assert site.told("use", "trial", "--group", "clerks")["mended"]
    assert site.in_force() == ONE.digest


def test_a_journal_that_may_not_be_read_or_is_damaged_leaves_the_other_warnings(site: Site) -> None:
    site.bring()
    use(site, ONE)
    config, kept = load_site(site.paths.site_yaml), site.paths.journal.read_bytes()
    site.paths.journal.write_bytes(b"{\n" + kept)
    assert "the install journal is damaged" in pack_warnings(config, site.paths, packs.soon())[0]
    site.paths.journal.unlink()
    site.paths.journal.mkdir()
    assert pack_warnings(config, site.paths, packs.soon()) == ()


def test_a_pack_whose_file_is_lost_is_gone_back_from_or_replaced(site: Site) -> None:
    site.bring()
    use(site, ONE)
    for path in site.paths.packs.glob(f"{ONE.digest.removeprefix('sha256:')}.*"):
        path.unlink()
    config = load_site(site.paths.site_yaml)
    assert pack_warnings(config, site.paths, packs.soon()) == ()  # the gateway tells, and none runs here
    assert [one["state"] for one in site.told("list")["packs"] if "state" in one] == ["damaged"]
    use(site, TWO)
    assert site.in_force() == TWO.digest
    assert site.told("back", "--group", "clerks")["pack"] == NONE


def test_a_power_cut_between_database_and_file_answers_nobody_until_the_next_command(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    site.bring()
    use(site, ONE)

    def cut(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(pack_choice, "tell_log", cut)
        patched.setattr(pack_choice, "note", noted_until("done", pack_choice.note))
        assert isinstance(site.run("use", "second", "--group", "clerks").exception, KeyboardInterrupt | SystemExit)
    site.told("use", "second", "--group", "clerks")  # it was decided: only the journal's line is missing
    assert site.in_force() == TWO.digest
    last = [figures for kind, figures in site.logged() if kind == "pack"][-1]
    assert (last["step"], "error" in last) == ("use", False)


def test_a_power_cut_before_the_database_has_it_answers_nobody_and_is_taken_back(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    site.bring()
    use(site, ONE)
    real = ChoiceStore.put

    async def cut(store: ChoiceStore, chosen: Chosen, also: Callable[[dict[str, Chosen]], None], *more: Any) -> None:
        def then(found: dict[str, Chosen]) -> None:
            also(found)
            raise KeyboardInterrupt

        await real(store, chosen, then, *more)

    with monkeypatch.context() as patched:
        patched.setattr(ChoiceStore, "put", cut)
        assert isinstance(site.run("use", "second", "--group", "clerks").exception, KeyboardInterrupt | SystemExit)
    with pytest.raises(PackLostError):
        site.in_force()
    site.told("use", "second", "--group", "clerks", "--dry-run")  # any command about packs settles it first
    assert site.in_force() == ONE.digest
    use(site, TWO)
    steps = [(figures["step"], figures.get("error")) for kind, figures in site.logged() if kind == "pack"]
    assert steps[-2:] == [("use", "Interrupted"), ("use", None)]


def test_a_pack_that_did_not_come_in_to_the_end_is_not_chosen(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    file = packs.files(site.folder, ONE)
    with monkeypatch.context() as patched:
        patched.setattr(pack_import, "note", noted_until("done", pack_import.note))
        assert isinstance(site.run("import", str(file)).exception, KeyboardInterrupt | SystemExit)
    assert "did not come in" in site.refused(PackRefusedError, "use", "trial", "--group", "clerks").cause
    site.bring(ONE)
    use(site, ONE)


def noted_until(state: str, real: Callable[..., None]) -> Callable[..., None]:
    def note(paths: SitePaths, action: str, said: str, digest: str, detail: dict[str, str]) -> None:
        if said == state:
            raise KeyboardInterrupt
        real(paths, action, said, digest, detail)

    return note


def test_a_full_disk_leaves_file_and_database_as_they_were(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    site.bring()
    use(site, ONE)
    real = pack_choice.write_record
    calls: list[int] = []

    def full(folder: Path, groups: dict[str, str]) -> None:
        calls.append(1)
        if len(calls) == 1:
            raise UnavailableError("no room")
        real(folder, groups)

    with monkeypatch.context() as patched:
        patched.setattr(pack_choice, "write_record", full)
        site.refused(UnavailableError, "use", "second", "--group", "clerks")
    assert site.in_force() == ONE.digest


def test_while_another_command_holds_the_sites_lock_nothing_changes(site: Site) -> None:
    site.bring()
    use(site, ONE)
    with site_lock(site.paths):
        for arguments in (
            ("use", "second", "--group", "clerks"),
            ("back", "--group", "clerks"),
            ("drop", "second"),
            ("import", str(site.folder / "second" / "second-1.0.0.pack")),
        ):
            site.refused(SiteBusyError, *arguments)


def test_the_database_that_does_not_answer_is_told(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    site.bring()
    real = database.connect
    monkeypatch.setattr(database, "connect", lambda folder, _port, password: real(folder, 1, password))
    failed = site.run("back", "--group", "clerks").exception
    assert isinstance(failed, UnavailableError)
    assert read_record(site.paths.packs) == {}
