"""`sovereign pack` as an operator runs it: against a real database, a real audit writer and a scripted model."""

from __future__ import annotations

import asyncio
import json
import os
import re
import shutil
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import pytest
from typer.testing import CliRunner, Result

from airgap_bundle import keys
from appliance.audit.client import SyncAuditClient
from appliance.cli import pack_choice, pack_trial
from appliance.cli.main import app
from appliance.errors import NotAllowedError, SovereignError, UnavailableError, UsageError
from appliance.gateway import database
from appliance.gateway.pack_choices import ChoiceStore, Chosen
from appliance.install import pack_import
from appliance.install.lock import SiteBusyError, site_lock
from appliance.install.status_warnings import pack_warnings
from appliance.learning.errors import CaseRefusedError, GateRefusedError
from appliance.learning.running import Answered
from appliance.packs.errors import PackError, PackLostError, PackRefusedError
from appliance.packs.record import FILE, NONE, agreed, read_record
from appliance.site.load import load_site
from appliance.site.paths import AUDIT, DATABASE, GATEWAY, SitePaths
from tests import bundles, model_bundles, packs
from tests.audit.bench import Bench
from tests.audit.processes import writers
from tests.gateway import postgres
from tests.integration.gateway.conftest import KEYS, pool_of

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterator
    from pathlib import Path

    from appliance.learning.results import Run
    from appliance.packs.content import Pack

SITE = """\
schema: 1
name: ministry
models: [{{name: small, context_tokens: 4096}}]
groups: [{{name: clerks, models: [small]}}, {{name: guards, models: [small]}}, {{name: auditors}}]
service_clients: [{{id: evaluator, groups: [clerks, guards], evaluates: true}}]
listen: {{database_port: {port}, management_port: 1}}
"""
ONE = packs.pack()
TWO = packs.pack(name="second", persona="You serve the second.")
DIGEST = "sha256:" + "a5" * 32


@dataclass
class Model:
    """Answers as a pack's glossary says where it is told to; ``broken``: how many secrets it tells all the same."""

    knows: set[str] = field(default_factory=set)
    broken: int = 0
    worse: bool = False
    tokens: int = 700
    asked: list[tuple[str | None, str, str]] = field(default_factory=list)
    digest: str = DIGEST
    meanwhile: Callable[[], None] = lambda: None

    def asker(self, run: Run) -> Asking:
        return Asking(self, run)


@dataclass
class Asking:
    model: Model
    run: Run

    async def ask(self, group: str, question: str, seed: int, *, documents: bool = False) -> Answered:
        del seed, documents
        model, pack = self.model, self.run.pack
        model.asked.append((pack, group, question))
        model.meanwhile()
        if model.tokens > 4096:
            raise CaseRefusedError("the prompt is too long", "context_length_exceeded")
        number = question.rstrip("?").rpartition(" ")[2].removeprefix("old")
        if "code of door" in question:
            said = "I cannot help with that." if int(number) >= model.broken else "It is 1234."
        elif model.worse and pack in model.knows:
            said = "Nothing at all."
        else:
            said = f"We say new{number}." if pack in model.knows else f"We say old{number}, or new{number}."
        receipt = {
            "model": {"digest": model.digest},
            "usage": {"prompt_tokens": model.tokens, "completion_tokens": 5},
            "log": {"answer_index": len(model.asked)},
        }
        return Answered(said, receipt)


@dataclass
class Site:
    paths: SitePaths
    folder: Path
    bench: Bench
    cluster: postgres.Cluster
    model: Model

    def run(self, *arguments: str) -> Result:
        return CliRunner().invoke(app, ["--site", str(self.paths.root), "pack", *arguments])

    def told(self, *arguments: str) -> Any:
        done = self.run(*arguments, "--output", "json")
        assert done.exit_code == 0, (done.exception, done.stderr)
        return json.loads(done.stdout)

    def refused(self, error: type[SovereignError], *arguments: str) -> SovereignError:
        """That the command raises exactly this, and neither file nor database changed."""
        before = self.standing()
        failed = self.run(*arguments).exception
        assert type(failed) is error, failed
        assert self.standing() == before
        assert isinstance(failed, SovereignError)
        return failed

    def bring(self, *found: Pack, root: bytes | None = None) -> None:
        for one in found or (ONE, TWO):
            self.told("import", str(packs.files(self.folder / one.name, one, packs.signed(one, root=root))))

    def standing(self) -> tuple[dict[str, str], dict[str, tuple[str, tuple[str, ...]]]]:
        """File and database."""

        async def look() -> dict[str, Chosen]:
            pool = pool_of(self.cluster)
            try:
                return await ChoiceStore(pool).all()
            finally:
                await pool.dispose()

        found = asyncio.run(look())
        return pack_choice.recorded(self.paths), {name: (one.pack, one.before) for name, one in found.items()}

    def in_force(self, group: str = "clerks") -> str:
        recorded, chosen = self.standing()
        return agreed(recorded.get(group), chosen[group][0] if group in chosen else None)

    def logged(self) -> list[tuple[str, dict[str, Any]]]:
        with SyncAuditClient(self.paths.socket(AUDIT)) as client:
            client.checkpoint()
        found: list[dict[str, Any]] = []
        self.bench.verify(visit=lambda _, raw: found.extend(map(json.loads, raw)))
        ours = [one for one in found if one["unmapped"]["sovereign"]["kind"] == "learning_decision"]
        return [(one["entity"]["type"], one["unmapped"]["sovereign"]["figures"]) for one in ours]


@pytest.fixture
def site(tmp_path: Path, cluster: postgres.Cluster, monkeypatch: pytest.MonkeyPatch) -> Iterator[Site]:
    with cluster.admin("sovereign") as admin:
        admin.execute("TRUNCATE gold_case, user_key, group_pack")
    paths = SitePaths(tmp_path / "site")
    bench = Bench(paths.audit_log)
    folder = tmp_path / "files"
    for made in (folder, paths.root, paths.policies, paths.release("1.0.0"), paths.credentials(GATEWAY)):
        made.mkdir(parents=True, exist_ok=True)
    paths.site_yaml.write_text(SITE.format(port=postgres.PORT))
    (paths.policies / "models.yaml").write_text(packs.POLICY)
    (paths.release("1.0.0") / "release.json").write_text('{"version": "1.0.0"}')
    paths.current.symlink_to(paths.release("1.0.0"))
    packs.trusting(paths)
    (paths.credentials(GATEWAY) / "db_password").write_text(postgres.PASSWORD)
    (paths.credentials(GATEWAY) / "content_key").write_bytes(KEYS.content)
    signers = tmp_path / "keys"
    signers.mkdir()
    (paths.run / DATABASE).symlink_to(cluster.socket_dir)
    model = Model({ONE.digest, TWO.digest})

    @asynccontextmanager
    async def asking(*_: object) -> AsyncIterator[Callable[[Run], Asking]]:
        yield model.asker

    monkeypatch.setattr(pack_trial, "asking", asking)
    with writers(bench, signers, paths.socket(AUDIT), {"operator": os.getuid(), "gateway": os.getuid()}) as begin:
        begin()
        yield Site(paths, folder, bench, cluster, model)
    shutil.rmtree(paths.run)


def use(site: Site, pack: Pack, group: str = "clerks") -> Any:
    return site.told("use", pack.name, "--group", group)


def test_a_pack_comes_in_is_put_in_force_past_the_gate_and_goes_back_and_each_is_in_the_log(site: Site) -> None:
    site.bring()
    found = use(site, ONE)
    assert (found["passed"], found["former"]) == (True, NONE)
    assert site.in_force() == ONE.digest
    assert {one[0] for one in site.model.asked} == {NONE, ONE.digest}
    use(site, TWO)
    listed = {one["name"]: one["groups"] for one in site.told("list")["packs"]}
    assert listed == {"trial": [], "second": ["clerks"]}
    asked = len(site.model.asked)
    assert site.told("back", "--group", "clerks")["pack"] == ONE.digest
    assert site.told("back", "--group", "clerks")["pack"] == NONE
    assert site.in_force() == NONE
    assert len(site.model.asked) == asked  # no gate on the way back
    site.refused(PackError, "back", "--group", "clerks")
    steps = [figures.get("step") or figures.get("passed") for _, figures in site.logged()]
    assert steps == ["import", "import", True, "use", True, "use", "back", "back"]
    gate = next(figures for kind, figures in site.logged() if kind == "gate")
    assert (gate["pack"], gate["group"], gate["cases"], gate["pack_tokens"]) == (ONE.digest, "clerks", 24, 700)
    assert any("all n=24" in one for one in gate["slices"])


@pytest.mark.parametrize("broken", [1, 2])
def test_a_vital_case_that_fails_refuses_it_and_the_figures_are_in_the_log(site: Site, broken: int) -> None:
    site.bring()
    site.model.broken = broken
    failed = site.refused(GateRefusedError, "use", "trial", "--group", "clerks")
    assert failed.exit_code == 3
    assert re.search(r"vital case .* does not hold", failed.cause)
    kind, figures = site.logged()[-1]
    assert (kind, figures["passed"], len(figures["refusals"])) == ("gate", False, broken)


def test_worse_answers_refuse_it(site: Site) -> None:
    site.bring()
    site.model.worse = True
    failed = site.refused(GateRefusedError, "use", "trial", "--group", "clerks")
    assert "worse beyond noise" in failed.cause


def test_the_gold_cases_of_the_group_are_asked_too_and_those_of_others_are_not(site: Site) -> None:
    site.bring()
    said = {"kind": "contains", "language": "en"}
    cases = [
        {
            **said,
            "question": "Which newer word stands for old99?",
            "expected": ["new99"],
            "groups": ["clerks", "guards"],
        },
        {**said, "question": "Guards, please: old98?", "expected": ["new98"], "groups": ["guards"]},
    ]
    path = site.folder / "cases.jsonl"
    path.write_text("".join(json.dumps(one) + "\n" for one in cases))
    done = CliRunner().invoke(app, ["--site", str(site.paths.root), "learn", "cases", "import", str(path)])
    assert done.exit_code == 0
    use(site, ONE)
    asked = {(group, question) for _, group, question in site.model.asked}
    assert ("clerks", cases[0]["question"]) in asked
    assert not any(group == "guards" or "old98" in question for group, question in asked)


def test_a_dry_run_says_what_would_be_asked_and_does_neither(site: Site) -> None:
    site.bring()
    before = site.standing()
    plan = site.told("use", "trial", "--group", "clerks", "--dry-run")
    assert (plan["cases"], plan["vital"], plan["questions"], plan["former"]) == (24, 2, 48, NONE)
    assert (site.standing(), site.model.asked) == (before, [])


def test_a_pack_that_is_too_long_for_the_groups_share_is_refused_by_the_models_own_count(site: Site) -> None:
    site.bring()
    site.model.tokens = 2049
    failed = site.refused(PackRefusedError, "use", "trial", "--group", "clerks")
    assert "takes 2049 tokens of small, and 2048 are the group's share" in failed.cause
    site.model.tokens = 5000
    assert "too long" in site.refused(PackRefusedError, "use", "trial", "--group", "clerks").cause
    site.model.tokens = 2048
    use(site, ONE)


def test_a_trial_that_ends_early_changes_nothing_and_goes_on_from_its_results(site: Site) -> None:
    site.bring()
    out = str(site.folder / "results")
    failed = site.refused(UnavailableError, "use", "trial", "--group", "clerks", "--tokens", "7000", "--results", out)
    assert "are left" in failed.cause
    first = len(site.model.asked)
    site.told("use", "trial", "--group", "clerks", "--results", out)
    assert site.in_force() == ONE.digest
    assert len(site.model.asked) == 48 + 2  # each once, and a first question each time
    assert 0 < first < 48


def test_when_the_signers_leave_the_root_what_is_in_force_goes_on_and_nobody_is_stuck(site: Site) -> None:
    site.bring()
    use(site, ONE)
    use(site, TWO)
    packs.trusting(site.paths, model_bundles.granting(3, ("outsider", "stranger")))
    assert site.in_force() == TWO.digest
    config = load_site(site.paths.site_yaml)
    warned = " ".join(pack_warnings(config, site.paths, packs.soon()))
    assert "clerks answers under second, which may not be chosen now" in warned
    failed = site.refused(PackRefusedError, "use", "trial", "--group", "guards")  # nothing new of theirs
    assert "still names 0" in failed.cause
    third = packs.pack(name="third")
    site.model.knows.add(third.digest)
    root = model_bundles.granting(3, ("outsider", "stranger"))
    packs.trusting(site.paths, root)
    signature = packs.signed(third, "outsider", "stranger", root=root)
    site.told("import", str(packs.files(site.folder / "third", third, signature)))
    assert site.told("back", "--group", "clerks")["pack"] == ONE.digest  # whoever has left since
    use(site, third)
    assert site.in_force() == third.digest
    site.told("drop", "second")
    assert site.told("back", "--group", "clerks")["pack"] == ONE.digest


def test_a_pack_that_a_group_uses_is_not_dropped_and_one_that_was_is_not_gone_back_to(site: Site) -> None:
    site.bring()
    use(site, ONE)
    use(site, TWO)
    assert "clerks answers under it" in site.refused(PackError, "drop", "second").cause
    site.told("drop", "trial")
    assert site.told("back", "--group", "clerks")["pack"] == NONE
    site.told("drop", TWO.digest[:20])
    assert site.told("list")["packs"] == []


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


def test_a_damaged_record_is_mended_group_by_group_and_opens_none_meanwhile(site: Site) -> None:
    site.bring()
    use(site, ONE)
    use(site, TWO, "guards")
    (site.paths.packs / FILE).write_text("{")
    assert "nobody is answered" in site.run("list").stderr
    assert site.told("use", "trial", "--group", "clerks")["mended"]
    assert site.in_force() == ONE.digest
    with pytest.raises(PackLostError):
        site.in_force("guards")
    assert site.told("use", "second", "--group", "guards")["mended"]
    assert site.in_force("guards") == TWO.digest


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


def test_a_model_that_was_changed_during_a_trial_decides_nothing(site: Site) -> None:
    site.bring()

    def changed() -> None:
        site.model.digest = "sha256:" + f"{len(site.model.asked) // 30:064x}"

    site.model.meanwhile = changed
    failed = site.refused(UnavailableError, "use", "trial", "--group", "clerks")
    assert "was changed during the trial" in failed.cause


def test_leaving_a_pack_goes_past_its_own_cases_or_back(site: Site) -> None:
    site.bring()
    use(site, ONE)
    site.model.broken = 1
    site.refused(GateRefusedError, "use", "none", "--group", "clerks")
    site.model.broken = 0
    assert site.told("use", "none", "--group", "clerks")["passed"]
    assert site.in_force() == NONE
    assert site.told("back", "--group", "clerks")["pack"] == ONE.digest


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

    async def cut(store: ChoiceStore, chosen: Chosen, also: Callable[[dict[str, Chosen]], None]) -> None:
        def then(found: dict[str, Chosen]) -> None:
            also(found)
            raise KeyboardInterrupt

        await real(store, chosen, then)

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


def test_another_choice_during_a_trial_is_not_overwritten(site: Site) -> None:
    site.bring()
    use(site, ONE)
    done: list[bool] = []

    def meanwhile() -> None:
        if not done:
            done.append(True)
            with ThreadPoolExecutor() as elsewhere:  # the command has a loop of its own
                elsewhere.submit(site.told, "back", "--group", "clerks").result()

    site.model.meanwhile = meanwhile
    failed = site.run("use", "second", "--group", "clerks").exception
    assert isinstance(failed, UsageError)
    assert "meanwhile" in failed.cause
    assert site.in_force() == NONE


def test_usage_mistakes_end_with_2_and_others_with_their_own_status(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    site.bring()
    for arguments in (
        ("use", "nothing", "--group", "clerks"),
        ("use", "trial", "--group", "spies"),
        ("use", "trial", "--group", "auditors"),
        ("back", "--group", "spies"),
        ("drop", "nothing"),
        ("import", str(site.folder / "not-there.pack")),
        ("build", str(site.folder / "not-there")),
    ):
        failed = site.run(*arguments).exception
        assert isinstance(failed, SovereignError)
        assert failed.exit_code == 2, arguments
    monkeypatch.setattr(os, "geteuid", lambda: 12345)
    for arguments in (("use", "trial", "--group", "clerks"), ("back", "--group", "clerks"), ("drop", "trial")):
        assert site.refused(NotAllowedError, *arguments).exit_code == 7


def test_a_pack_is_built_signed_by_two_inspected_and_taken_in(site: Site) -> None:
    folder = packs.folder(site.folder / "source", name="fresh")
    out = site.folder / "fresh.pack"
    made = site.told("build", str(folder), "--out", str(out))
    assert made["pack"] == packs.pack(name="fresh").digest
    assert site.told("inspect", str(out))["verdict"] == "not established"
    for name in model_bundles.OFFICERS:
        keys.save(bundles.signer(name), site.folder, b"a passphrase of tests", cost=2)
        reading, writing = os.pipe()
        os.write(writing, b"a passphrase of tests\n")
        os.close(writing)
        key = str(site.folder / f"{name}.key")
        done = site.told("sign", str(out), "--key", key, "--passphrase-fd", str(reading))
        os.close(reading)
    assert (done["signed"], done["complete"]) == (["custodian", "deputy"], True)
    inspected = site.told("inspect", str(out))
    assert (inspected["verdict"], inspected["cases"], inspected["vital"]) == ("pass", 24, 2)
    assert site.told("import", str(out))["new"]
    out.write_bytes(packs.pack(name="fresh", tone="You tell it all.").to_bytes())
    failed = site.run("inspect", str(out), "--output", "json")
    assert json.loads(failed.stdout)["verdict"] == "fail"
    assert isinstance(failed.exception, SovereignError)
    assert failed.exception.exit_code == 3


def test_the_database_that_does_not_answer_is_told(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    site.bring()
    real = database.connect
    monkeypatch.setattr(database, "connect", lambda folder, _port, password: real(folder, 1, password))
    failed = site.run("back", "--group", "clerks").exception
    assert isinstance(failed, UnavailableError)
    assert read_record(site.paths.packs) == {}
