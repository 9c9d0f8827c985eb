"""A site at which `sovereign pack` is run: a real database, a real audit writer and a scripted model."""

from __future__ import annotations

import asyncio
import json
import os
import shutil
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from typer.testing import CliRunner, Result

from appliance.audit.client import SyncAuditClient
from appliance.cli import pack_trial
from appliance.cli.main import app
from appliance.errors import SovereignError
from appliance.gateway.pack_choices import ChoiceStore, Chosen
from appliance.learning.errors import CaseRefusedError
from appliance.learning.running import Answered
from appliance.packs.errors import PackLostError
from appliance.packs.record import FILE, agreed, read_record
from appliance.site.paths import AUDIT, DATABASE, GATEWAY, SitePaths
from tests import packs
from tests.audit.bench import Bench
from tests.audit.processes import writers
from tests.gateway import postgres
from tests.integration.gateway.conftest import KEYS, pool_of

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterator
    from pathlib import Path

    import pytest

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
        return self.recorded(), {name: (one.pack, one.before) for name, one in found.items()}

    def recorded(self) -> dict[str, str]:
        """The record; of a damaged one its bytes, so that a change of them is seen."""
        try:
            return read_record(self.paths.packs)
        except PackLostError:
            return {"damaged": (self.paths.packs / FILE).read_bytes().hex()}

    def in_force(self, group: str = "clerks") -> str:
        _, chosen = self.standing()
        return agreed(read_record(self.paths.packs).get(group), chosen[group][0] if group in chosen else None)

    def logged(self) -> list[tuple[str, dict[str, Any]]]:
        with SyncAuditClient(self.paths.socket(AUDIT)) as client:
            client.checkpoint()
        found: list[dict[str, Any]] = []
        self.bench.verify(visit=lambda _, raw: found.extend(map(json.loads, raw)))
        ours = [one for one in found if one["unmapped"]["sovereign"]["kind"] == "learning_decision"]
        return [(one["entity"]["type"], one["unmapped"]["sovereign"]["figures"]) for one in ours]


@contextmanager
def running(tmp_path: Path, cluster: postgres.Cluster, monkeypatch: pytest.MonkeyPatch) -> Iterator[Site]:
    """The site, over a real database and a real audit writer; the trial's questions go to its model."""
    with cluster.admin("sovereign") as admin:
        admin.execute("TRUNCATE gold_case, user_key, group_pack, rollout_answer, rollout")
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
