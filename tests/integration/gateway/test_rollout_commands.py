"""`sovereign learn rollout` as an operator runs it: real database, real audit writer, a scripted model for the gate."""

from __future__ import annotations

import asyncio
import json
import uuid
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest
from sqlalchemy import text, update
from typer.testing import CliRunner

from appliance.audit.errors import AuditUnavailableError
from appliance.cli import rollout_site, rollout_start
from appliance.cli.main import app
from appliance.errors import SovereignError, UsageError
from appliance.gateway.rollout_store import RolloutStore
from appliance.gateway.schema import rollout
from appliance.learning.errors import GateRefusedError
from appliance.packs.errors import PackError, PackRefusedError
from appliance.packs.permits import read_permits
from appliance.packs.record import NONE
from tests.integration.gateway.conftest import pool_of
from tests.integration.gateway.pack_site import ONE, TWO, Site, running, use

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Awaitable, Callable, Iterator
    from pathlib import Path

    from appliance.gateway.rollout_store import Held
    from appliance.gateway.rollout_values import Rollout
    from tests.gateway import postgres


@pytest.fixture
def site(tmp_path: Path, cluster: postgres.Cluster, monkeypatch: pytest.MonkeyPatch) -> Iterator[Site]:
    async def computed(*_: object) -> None:
        """No engine runs here."""

    monkeypatch.setattr(rollout_start, "_computed", computed)
    with running(tmp_path, cluster, monkeypatch) as found:
        yield found


def run(site: Site, *arguments: str) -> Any:
    return CliRunner().invoke(app, ["--site", str(site.paths.root), "learn", "rollout", *arguments])


def done(site: Site, *arguments: str) -> str:
    found = run(site, *arguments)
    assert found.exit_code == 0, (found.exception, found.stderr)
    return str(found.stderr)


def everything(site: Site) -> tuple[Any, ...]:
    """File, database, permits and rollouts."""
    return (*site.standing(), read_permits(site.paths.packs), [(one.id, one.stage, one.state) for one in listed(site)])


def refused(site: Site, error: type[SovereignError], *arguments: str) -> SovereignError:
    """That the command raises exactly this, and nothing was changed."""
    before = everything(site)
    failed = run(site, *arguments).exception
    assert type(failed) is error, failed
    assert everything(site) == before
    assert isinstance(failed, SovereignError)
    return failed


def _in_database(site: Site, work: Callable[[Any], Awaitable[Any]]) -> Any:
    async def act() -> Any:
        pool = pool_of(site.cluster)
        try:
            return await work(pool)
        finally:
            await pool.dispose()

    return asyncio.run(act())


def listed(site: Site) -> tuple[Rollout, ...]:
    found: tuple[Rollout, ...] = _in_database(site, lambda pool: RolloutStore(pool).listed(["clerks", "guards"]))
    return found


def later(site: Site, hours: float = 25) -> None:
    """As if the stage had begun so long ago."""

    async def act(pool: Any) -> None:
        async with pool.begin() as connection:
            then = datetime.now(UTC) - timedelta(hours=hours)
            await connection.execute(update(rollout).values(stage_since=then))

    _in_database(site, act)


def start(site: Site, pack: str = "trial") -> str:
    return done(site, "start", "--group", "clerks", "--pack", pack)


def steps(site: Site) -> list[str]:
    """What the log has of rollouts, in order."""
    return [f"{one['step']} {one['percent']}" for kind, one in site.logged() if kind == "rollout"]


def test_a_pack_goes_past_the_gate_to_a_tenth_to_half_to_all_and_is_kept(site: Site) -> None:
    site.bring()
    assert "10 percent of clerks" in start(site)
    (found,) = listed(site)
    permit = read_permits(site.paths.packs)["clerks"]
    assert (permit.id, permit.former, permit.change, permit.most) == (str(found.id), NONE, ONE.digest, 10)
    assert site.in_force() == NONE  # what is in force for the group is what was
    for percent in (50, 100):
        later(site)
        assert f"{percent} percent of clerks" in done(site, "advance", "--group", "clerks")
        assert read_permits(site.paths.packs)["clerks"].most == percent
    later(site)
    assert "is kept" in done(site, "advance", "--group", "clerks")
    assert site.in_force() == ONE.digest
    assert [one.state for one in listed(site)] == ["kept"]
    assert read_permits(site.paths.packs) == {}
    assert steps(site) == ["start 10", "advance 50", "advance 100", "keep 100"]
    assert site.told("back", "--group", "clerks")["pack"] == NONE


def test_where_the_site_lets_it_go_on_by_itself_the_record_permits_all_of_it(site: Site) -> None:
    site.bring()
    said = site.paths.site_yaml.read_text()
    site.paths.site_yaml.write_text(said + "learning: {rollout: {stages: [5], advances: by-itself}}\n")
    start(site)
    assert read_permits(site.paths.packs)["clerks"].most == 100
    assert listed(site)[0].stages == (5, 100)
    later(site)
    done(site, "advance", "--group", "clerks")
    assert read_permits(site.paths.packs)["clerks"].most == 100


def test_a_stage_that_began_by_itself_meanwhile_is_not_passed_over(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    site.bring()
    start(site)
    later(site)
    held = RolloutStore.held

    @asynccontextmanager
    async def overtaken(store: RolloutStore, number: uuid.UUID, *, wait: bool = True) -> AsyncGenerator[Held]:
        pool = pool_of(site.cluster)
        async with pool.begin() as connection:
            await connection.execute(update(rollout).values(stage=1))
        await pool.dispose()
        async with held(store, number, wait=wait) as found:
            yield found

    monkeypatch.setattr(RolloutStore, "held", overtaken)
    assert run(site, "advance", "--group", "clerks").exit_code != 0
    assert (listed(site)[0].stage, steps(site)) == (1, ["start 10"])


def test_what_the_gate_refuses_is_given_to_nobody(site: Site) -> None:
    site.bring()
    site.model.broken = 1
    refused(site, GateRefusedError, "start", "--group", "clerks", "--pack", "trial")
    assert (listed(site), steps(site)) == ((), [])


def test_it_goes_back_at_once_without_a_gate_and_the_figures_are_in_the_log(site: Site) -> None:
    site.bring()
    use(site, ONE)
    asked = len(site.model.asked)
    start(site, "second")
    trial = len(site.model.asked)
    assert trial > asked
    assert "was taken back" in done(site, "back", "--group", "clerks")
    assert len(site.model.asked) == trial
    assert (site.in_force(), read_permits(site.paths.packs)) == (ONE.digest, {})
    kind, said = site.logged()[-1]
    assert (kind, said["step"], said["former"], said["change"]) == ("rollout", "back", ONE.digest, TWO.digest)
    assert "answers 0" in said["new"]
    refused(site, UsageError, "back", "--group", "clerks")


def test_too_little_was_seen_to_go_on_until_the_stages_hours_are_over(site: Site) -> None:
    site.bring()
    start(site)
    failed = refused(site, UsageError, "advance", "--group", "clerks")
    assert "0 of 5 people and 0 of 50 answers" in failed.cause
    later(site, 23)
    refused(site, UsageError, "advance", "--group", "clerks")
    later(site, 25)
    done(site, "advance", "--group", "clerks")


def test_while_it_runs_the_group_is_put_under_no_other_pack_and_the_pack_stays(site: Site) -> None:
    site.bring()
    start(site)
    assert "a rollout runs in clerks" in site.refused(UsageError, "use", "second", "--group", "clerks").cause
    site.refused(PackError, "drop", "trial")
    refused(site, UsageError, "start", "--group", "clerks", "--pack", "second")
    use(site, TWO, "guards")


def test_the_way_back_from_a_pack_waits_for_the_rollouts_own(site: Site) -> None:
    site.bring()
    use(site, ONE)
    start(site, "second")
    assert "a rollout runs in clerks" in site.refused(UsageError, "back", "--group", "clerks").cause
    done(site, "back", "--group", "clerks")
    assert site.told("back", "--group", "clerks")["pack"] == NONE


@pytest.mark.parametrize("command", ["advance", "check"])
def test_a_vital_case_that_fails_meanwhile_takes_the_pack_back_from_everybody(site: Site, command: str) -> None:
    site.bring()
    start(site)
    later(site)
    site.model.broken = 1
    failed = run(site, command, "--group", "clerks").exception
    assert isinstance(failed, GateRefusedError)
    assert "does not hold" in failed.cause
    (found,) = listed(site)
    assert (found.state, found.stage, site.in_force()) == ("back", 0, NONE)
    kind, said = site.logged()[-1]
    assert (kind, said["step"]) == ("rollout", "back")
    assert said["reason"].startswith("vital case")
    asked = {pack for pack, _, _ in site.model.asked[48:]}
    assert asked == {ONE.digest}


def test_vital_cases_that_hold_change_nothing(site: Site) -> None:
    site.bring()
    start(site)
    before = everything(site)
    assert "every vital case holds" in done(site, "check", "--group", "clerks")
    assert everything(site) == before


def test_a_decision_that_waits_to_be_entered_is_not_overtaken(site: Site) -> None:
    site.bring()
    start(site)
    later(site)

    async def decide(pool: Any) -> None:
        async with pool.begin() as connection:
            verdict = {"act": "back", "figures": {"reason": "it fares worse"}}
            await connection.execute(update(rollout).values(verdict=verdict))

    _in_database(site, decide)
    assert "it fares worse" in refused(site, UsageError, "advance", "--group", "clerks").cause


def test_a_signer_who_left_ends_the_way_on_and_not_the_way_back(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    site.bring()
    start(site)
    later(site)

    def withdrawn(*_: object) -> None:
        raise PackRefusedError("trial may not be chosen now: a signer left")

    monkeypatch.setattr("appliance.cli.learn_rollout.check_may_be_chosen", withdrawn)
    refused(site, PackRefusedError, "advance", "--group", "clerks")
    done(site, "back", "--group", "clerks")


def test_a_start_that_is_cut_off_before_the_database_leaves_a_permit_that_permits_nothing(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    site.bring()

    async def cut(*_: object) -> None:
        raise UsageError("cut off here")

    with monkeypatch.context() as patched:
        patched.setattr(RolloutStore, "begin", cut)
        assert run(site, "start", "--group", "clerks", "--pack", "trial").exit_code != 0
    assert (listed(site), site.in_force()) == ((), NONE)
    assert set(read_permits(site.paths.packs)) == {"clerks"}
    start(site)
    assert read_permits(site.paths.packs)["clerks"].id == str(listed(site)[0].id)


def test_without_the_log_nothing_begins(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    site.bring()

    def down(*_: object, **__: object) -> None:
        raise AuditUnavailableError("the audit writer does not answer")

    monkeypatch.setattr(rollout_site, "enter", down)
    refused(site, AuditUnavailableError, "start", "--group", "clerks", "--pack", "trial")


def test_status_shows_both_arms_and_what_became_of_others(site: Site) -> None:
    site.bring()
    start(site)

    async def answered(pool: Any) -> None:
        (found,) = await RolloutStore(pool).all_running()
        async with pool.begin() as connection:
            for number in range(4):
                values = {"id": uuid.uuid4().hex, "rollout": found.id, "new": number % 2 == 0, "who": f"{number}"}
                await connection.execute(
                    text(
                        "INSERT INTO rollout_answer (request_id, rollout_id, stage, new, drawn, subject, outcome, "
                        "seconds, tokens, joules, verdict) VALUES (:id, :rollout, 0, :new, true, :who, 'stop', "
                        "1.5, 30, 12.5, 'down')"
                    ),
                    values,
                )

    _in_database(site, answered)
    (shown,) = json.loads(run(site, "status", "--output", "json").stdout)
    assert (shown["percent"], shown["state"]) == (10, "running")
    assert shown["comparison"]["new"]["down"] == shown["comparison"]["old"]["answers"] == 2
    assert shown["comparison"]["threshold"] == 40
    told = run(site, "status").stdout
    assert "stage [10] > 50 > 100 percent" in told
    assert "too little was seen" in told
    done(site, "back", "--group", "clerks")
    (shown,) = json.loads(run(site, "status", "--output", "json").stdout)
    assert (shown["state"], shown["figures"]["reason"]) == ("back", "by hand")
    assert "by hand" in run(site, "status").stdout


def test_a_rollout_is_of_one_thing(site: Site) -> None:
    site.bring()
    refused(site, UsageError, "start", "--group", "clerks")
    refused(site, UsageError, "start", "--group", "clerks", "--pack", "trial", "--brief", str(uuid.uuid4()))
    refused(site, UsageError, "start", "--group", "clerks", "--brief", str(uuid.uuid4()))
    refused(site, UsageError, "start", "--group", "clerks", "--pack", "none")
    plan = run(site, "start", "--group", "clerks", "--pack", "trial", "--dry-run", "--output", "json")
    assert json.loads(plan.stdout)["cases"] == 24
    assert listed(site) == ()
