"""What two sites learnt travels to a builder, and with a release to a third; real database, real log, every command.

One database stands for each site in turn: it is emptied in between, as nothing else of a site is shared.
"""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import uuid
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import pytest

from airgap_bundle import keys
from airgap_bundle.build.release import build_release
from airgap_bundle.build.stage import silent
from airgap_bundle.lock import ReleaseLock, dump_lock
from airgap_bundle.trust_state import fingerprint
from appliance.audit.client import SyncAuditClient
from appliance.cli import learn_draft, learn_send
from appliance.errors import SovereignError, UsageError
from appliance.gateway import gold_rows
from appliance.gateway.conversations import ConversationStore
from appliance.gateway.gold_cases import CaseStore, Made
from appliance.gateway.gold_rows import Origin
from appliance.gateway.pseudonyms import Subject
from appliance.gateway.released_cases import ReleasedCases
from appliance.install.admission import admit
from appliance.install.vault import Vault
from appliance.learning.cases import Case, Content
from appliance.learning.errors import ExchangeRefusedError
from appliance.learning.exchange.released import FILE, Released, ReleasedCase
from appliance.learning.running import questions
from appliance.site.paths import AUDIT, DATABASE, GATEWAY, SitePaths
from tests.audit.bench import Bench
from tests.audit.former import in_words
from tests.audit.processes import writers
from tests.bundles import root_bytes, sign, signer
from tests.commands import run, run_json
from tests.gateway import postgres
from tests.integration.gateway.conftest import KEYS, pool_of
from tests.learning.exchanging import shared
from tests.unit.build.synthetic_release import make_synthetic

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from contextlib import AbstractContextManager
    from pathlib import Path

VAULT_SIGNER = learn_send._signer
pytestmark = pytest.mark.usefixtures("cheap_keys")
SITE = """\
schema: 1
name: {name}
models: [{{name: gemma3-270m}}]
groups: [{{name: clerks, models: [gemma3-270m]}}, {{name: guards}}]
listen: {{database_port: {port}}}
officers:
  - {{name: custodian, public_key: custodian.pub}}
  - {{name: deputy, public_key: deputy.pub}}
exchange: {{name: {outside}, approvers: [custodian, deputy]}}
"""
BICYCLES = {"question": "Where do bicycles stand?", "kind": "contains", "expected": ["north gate"], "language": "en"}
NOTICE = {"question": "How long is the notice period for a flat?", "kind": "contains", "language": "en"}
MAIL = {"question": "Who is clerk@ministry.example?", "kind": "refusal", "language": "en"}


@dataclass
class Site:
    """A site with its database and log."""

    paths: SitePaths
    folder: Path
    bench: Bench

    def run(self, *arguments: object) -> Any:
        return run_json("learn", *arguments, site=self.paths.root)

    def take(self, *cases: dict[str, Any], groups: tuple[str, ...] = ("clerks",)) -> None:
        path = self.folder / "given.jsonl"
        path.write_text("".join(json.dumps({**one, "groups": list(groups)}) + "\n" for one in cases))
        self.run("cases", "import", path)

    def draft(self, name: str = "draft") -> Path:
        self.run("export", "--out", self.folder / name, "--role", "clerks=desk", "--without-accounts")
        return self.folder / name

    def approved(self, draft: Path, *people: str) -> list[str]:
        export = learn_draft.read_draft(draft)
        found = []
        for one in people:
            path = self.folder / f"{one}-{uuid.uuid4().hex}"
            path.write_bytes(learn_send.sign_approval(export, signer(one), learn_send.datetime.now(learn_send.UTC)))
            found += ["--approval", str(path)]
        return found

    def send(self, draft: Path, out: str, *approvals: str) -> Path:
        self.run("send", draft, *approvals, "--out", self.folder / out, "--without-accounts")
        return self.folder / out

    def logged(self) -> list[dict[str, Any]]:
        with SyncAuditClient(self.paths.socket(AUDIT)) as client:
            client.checkpoint()
        found: list[dict[str, Any]] = []
        self.bench.verify(visit=lambda _, raw: found.extend(map(json.loads, raw)))
        return [one for one in found if one["entity"]["type"] == "exchange"]


@pytest.fixture
def open_site(
    tmp_path: Path, cluster: postgres.Cluster, monkeypatch: pytest.MonkeyPatch
) -> Callable[[str], AbstractContextManager[Site]]:
    """Sites one after the other; the exchange's key follows from the site's name, as vaults are another test's."""
    monkeypatch.setattr(learn_send, "_signer", lambda _paths, name, _fd: signer(name))

    @contextmanager
    def opened(outside: str) -> Iterator[Site]:
        with cluster.admin("sovereign") as admin:
            admin.execute("TRUNCATE gold_case, user_key")
        home = tmp_path / outside
        paths, folder, log_keys = SitePaths(home / "site"), home / "files", home / "keys"
        for one in (paths.root / "policies" / "officers", folder, log_keys, paths.credentials(GATEWAY)):
            one.mkdir(parents=True)
        paths.site_yaml.write_text(SITE.format(name=f"ministry-{outside}", outside=outside, port=postgres.PORT))
        for one in ("custodian", "deputy"):
            (paths.policies / "officers" / f"{one}.pub").write_bytes(signer(one).public.to_bytes())
        (paths.credentials(GATEWAY) / "db_password").write_text(postgres.PASSWORD)
        (paths.credentials(GATEWAY) / "content_key").write_bytes(KEYS.content)
        (paths.run / DATABASE).symlink_to(cluster.socket_dir)
        bench = Bench(paths.audit_log)
        with writers(bench, log_keys, paths.socket(AUDIT), {"operator": os.getuid(), "gateway": os.getuid()}) as begin:
            begin()
            yield Site(paths, folder, bench)
        shutil.rmtree(paths.run)

    return opened


def brought(paths: SitePaths, learnt: Path, work: Path, number: int) -> None:
    """Release ``number``, built with the folder ``learnt``, signed, verified and imported into the site's store."""
    work.mkdir()
    made = make_synthetic(work)
    shutil.copytree(learnt, made.release.parent / "learnt")

    def change(value: dict[str, Any]) -> None:
        value.update(version=f"1.{number}.0", number=number)
        parts = [one for one in value["artifacts"] if one["kind"] == "policy"]
        value["artifacts"] = [*parts, {"kind": "cases", "name": "learnt", "folder": "learnt"}]

    made.edit(change)
    lock = made.release.with_name("release.lock")
    lock.write_bytes(dump_lock(ReleaseLock("tiny-release", f"1.{number}.0", ())))
    build_release(made.release, work / "bundle", cache=made.cache, stage=silent)
    bundle = sign(work / "bundle", "architect", "builder", "release", now=datetime.now(UTC))
    release = admit(bundle, paths, str(fingerprint(root_bytes())), lambda _done, _total: None)
    home = paths.release(release.version)
    home.mkdir(parents=True)
    (home / "release.json").write_bytes((bundle / "release.json").read_bytes())
    paths.current.unlink(missing_ok=True)
    paths.current.symlink_to(home)


def test_what_two_sites_learnt_is_asked_at_a_third_once_somebody_there_accepts_it(
    open_site: Callable[[str], AbstractContextManager[Site]], tmp_path: Path
) -> None:
    learnt = tmp_path / "learnt"
    (learnt / "keys").mkdir(parents=True)
    returns = []
    for outside, expected in (("north", "three months"), ("south", "six months")):
        (learnt / "keys" / f"{outside}.pub").write_bytes(signer(outside).public.to_bytes())
        with open_site(outside) as site:
            site.take(BICYCLES, {**NOTICE, "expected": [expected]}, MAIL)
            draft = site.draft()
            returns.append(site.send(draft, "back", *site.approved(draft, "custodian", "deputy")))
            assert b"clerk" not in returns[-1].read_bytes()
            assert b"ministry" not in returns[-1].read_bytes()
            acts = [one for one in site.logged() if in_words(one)["activity_name"] == "Create"]
            figures = acts[0]["unmapped"]["sovereign"]["figures"]
            assert (len(acts), figures["cases"], figures["number"]) == (1, 2, 1)
            assert figures["approved_by"] == ["custodian", "deputy"]
    told = run_json("learn", "import", *returns, "--into", learnt)
    assert (told["cases"], len(told["blocked"])) == (1, 2)
    keep, drop = (
        one["digest"] for one in sorted(told["blocked"], key=lambda one: one["case"]["expected"][0] != "six months")
    )
    assert run_json("learn", "import", "--into", learnt, "--keep", keep, "--drop", drop)["cases"] == 2
    assert run_json("learn", "import", *reversed(returns), "--into", learnt)["new"] == 0

    with open_site("west") as site:
        brought(site.paths, learnt, tmp_path / "first", 1)
        own = {**BICYCLES, "question": "Where does the bus stop?"}
        site.take(own)
        with pytest.raises(UsageError, match="to whom"):
            site.run("cases", "import", "--from-release")
        offered = site.run("cases", "import", "--from-release", "--group", "clerks")
        assert (offered["offered"], offered["retired"]) == (2, 0)
        listed = site.run("cases", "list")
        assert sorted(one["state"] for one in listed) == ["active", "offered", "offered"]
        ids = [one["id"] for one in listed if one["state"] == "offered"]
        assert [one["author"] for one in listed if one["id"] in ids] == ["release", "release"]
        assert asked(site) == {own["question"]}
        (site.folder / "one.jsonl").write_text(json.dumps({**own, "groups": ["clerks"]}) + "\n")
        with pytest.raises(UsageError, match="is only offered"):
            run("learn", "cases", "replace", ids[0], site.folder / "one.jsonl", site=site.paths.root)
        site.run("cases", "accept", *ids)
        assert asked(site) == {own["question"], BICYCLES["question"], NOTICE["question"]}
        assert site.run("cases", "import", "--from-release")["offered"] == 0
        draft = learn_draft.read_draft(site.draft())
        assert [one.case.question for one in draft.cases] == [own["question"]]

        bicycles = next(one["released"] for one in site.run("cases", "list") if one["question"] == BICYCLES["question"])
        later = b'{"schema":1,"type":"cases"}\n{"digest":"%s","type":"retired"}\n' % bicycles.encode()
        (learnt / FILE).write_bytes(later)
        brought(site.paths, learnt, tmp_path / "second", 2)
        assert site.run("cases", "import", "--from-release")["retired"] == 1
        assert asked(site) == {own["question"], NOTICE["question"]}


def asked(site: Site) -> set[str]:
    """What `learn evaluate` would ask the clerks."""
    from appliance.cli.learn_evaluate import _cases  # noqa: PLC0415 - what the command itself asks

    return {one.case.content.question for one in questions(asyncio.run(_cases(site.paths, None)), ("clerks",), 1)}


def test_a_person_approves_and_the_vaults_key_signs_by_the_commands_themselves(
    open_site: Callable[[str], AbstractContextManager[Site]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(learn_send, "_signer", VAULT_SIGNER)
    learnt = tmp_path / "learnt"
    (learnt / "keys").mkdir(parents=True)
    with open_site("north") as site:
        site.paths.secrets.mkdir(mode=0o700)
        Vault(site.paths, lambda: b"").create("file")
        site.take(BICYCLES)
        site.run("key", "--out", learnt / "keys" / "north.pub")
        draft = site.draft()
        given: list[object] = []
        for one in ("custodian", "deputy"):
            keys.save(signer(one), site.folder, b"phrase")
            out = site.folder / f"{one}.approval"
            arguments = ("learn", "approve", draft, "--key", site.folder / f"{one}.key", "--out", out)
            with pytest.raises(UsageError):
                run(*arguments, phrase=b"phrase\n")
            assert not out.exists()
            told = run(*arguments, "--yes", phrase=b"phrase\n")
            assert BICYCLES["question"] in told.output
            given += ["--approval", out]
        with pytest.raises(UsageError, match="exists"):
            run(*arguments, "--yes", phrase=b"phrase\n")
        site.send(draft, "back", *map(str, given))
        again = site.folder / "again.pub"
        site.run("key", "--out", again)
        assert again.read_bytes() == (learnt / "keys" / "north.pub").read_bytes()
        assert run_json("learn", "import", site.folder / "back", "--into", learnt)["cases"] == 1


def test_a_case_that_somebody_only_dropped_is_no_tombstone(
    open_site: Callable[[str], AbstractContextManager[Site]],
) -> None:
    with open_site("north") as site:
        site.take(BICYCLES, {**NOTICE, "expected": ["three months"]})
        first = site.draft()
        site.send(first, "back", *site.approved(first, "custodian", "deputy"))
        second = site.draft("second")
        work = second / "work.jsonl"
        work.write_text("".join(line for line in work.read_text().splitlines(keepends=True) if "bicycles" not in line))
        site.run("revise", second, "--without-accounts")
        export = learn_draft.read_draft(second)
        assert (len(export.cases), export.retired) == (1, ())


def test_an_offered_case_that_the_site_has_already_is_not_in_force_twice(
    open_site: Callable[[str], AbstractContextManager[Site]], cluster: postgres.Cluster
) -> None:
    case = shared(BICYCLES["question"], *BICYCLES["expected"])
    released = Released((ReleasedCase(digest=case.digest, sites=1, case=case),))

    async def decided() -> list[str]:
        pool = pool_of(cluster)
        store = ConversationStore(pool, KEYS.content)
        cases = CaseStore(pool, store)
        assert (await ReleasedCases(pool, store).offer(released, ("clerks",)))["offered"] == 1
        await cases.add(case.content(("clerks", "guards")), "uid 0")
        assert (await ReleasedCases(pool, store).offer(released, ("guards",)))["offered"] == 0
        (offered,) = await cases.current(None, ("offered",))
        entered: list[Made] = []

        async def enter(made: Made) -> None:
            entered.append(made)

        await cases.decide(offered.case.id, ("clerks", "guards"), enter)
        states = [one.state for one in await cases.current()]
        await pool.dispose()
        assert [(one.changed, one.retired) for one in entered] == [(False, (offered.case,))]
        return states

    with open_site("west"):
        assert sorted(asyncio.run(decided())) == ["active", "retired"]


def test_without_approvals_of_these_very_bytes_nothing_leaves(
    open_site: Callable[[str], AbstractContextManager[Site]],
) -> None:
    with open_site("north") as site:
        site.take(BICYCLES)
        draft = site.draft()
        one, both = site.approved(draft, "custodian"), site.approved(draft, "custodian", "deputy")
        site.take({**NOTICE, "expected": ["three months"]})
        other = site.draft("other")
        foreign = site.approved(draft, "custodian", "stranger")
        for given, folder in ((one, draft), (both, other), (foreign, draft)):
            with pytest.raises(ExchangeRefusedError):
                site.send(folder, "back", *given)
            assert not (site.folder / "back").exists()
            assert not site.paths.exchange.exists()
        path = draft / "exchange.jsonl"
        whole = path.read_bytes()
        path.write_bytes(whole.replace(b"north gate", b"south gate"))
        with pytest.raises(SovereignError):
            site.send(draft, "back", *both)
        path.write_bytes(whole)
        assert [in_words(one)["activity_name"] for one in site.logged()] == ["Read", "Read"]
        site.send(draft, "back", *both)
        with pytest.raises(ExchangeRefusedError, match="export 1 has left"):
            site.send(other, "again", *site.approved(other, "custodian", "deputy"))


def test_a_retired_case_is_a_tombstone_in_the_next_export(
    open_site: Callable[[str], AbstractContextManager[Site]],
) -> None:
    with open_site("north") as site:
        site.take(BICYCLES, {**NOTICE, "expected": ["three months"]})
        first = site.draft()
        site.send(first, "back", *site.approved(first, "custodian", "deputy"))
        gone = next(one for one in site.run("cases", "list") if one["question"] == BICYCLES["question"])
        assert run("learn", "cases", "retire", gone["id"], site=site.paths.root).exit_code == 0
        second = learn_draft.read_draft(site.draft("second"))
        assert (second.head.number, len(second.cases), len(second.retired)) == (2, 1, 1)


def test_a_persons_own_words_and_what_is_flagged_stay_and_are_counted(
    open_site: Callable[[str], AbstractContextManager[Site]], cluster: postgres.Cluster
) -> None:
    async def in_their_words() -> None:
        pool = pool_of(cluster)
        store = ConversationStore(pool, KEYS.content)
        origin = Origin(Subject("somebody"), uuid.uuid4(), "hmac-sha256:00", verbatim=True)
        content = Content.model_validate({**BICYCLES, "groups": ["clerks"]})
        async with pool.begin() as connection:
            await store.sealer(connection, origin.subject)
            await gold_rows.add(connection, store, Case(uuid.uuid4(), 1, content), "active", "uid 0", origin)
        await pool.dispose()

    with open_site("north") as site:
        asyncio.run(in_their_words())
        site.take(MAIL)
        out = site.folder / "draft"
        told = site.run("export", "--out", out, "--without-accounts")
        assert (told["stay_in_own_words"], told["held"], told["cases"]) == (1, 1, 0)
        for path in out.iterdir():
            assert "bicycles" not in path.read_text()
            assert path.stat().st_mode & 0o777 == 0o600
        work = out / "work.jsonl"
        work.write_text(work.read_text().replace("clerk@ministry.example", "in charge of parking"))
        told = site.run("revise", out, "--without-accounts")
        assert (told["held"], told["cases"], told["stay_in_own_words"]) == (0, 1, 1)
