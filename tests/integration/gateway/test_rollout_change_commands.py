"""`learn rollout start --change` and `advance` as an operator runs them: real database, log, permits and site.yaml."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from typer.testing import CliRunner

from appliance.audit.errors import AuditUnavailableError
from appliance.cli import rollout_change, rollout_site
from appliance.cli.change_results import change_digest
from appliance.cli.main import app
from appliance.errors import UsageError
from appliance.gateway.changes import words_digest
from appliance.gateway.looking import Looking
from appliance.gateway.rollout_store import RolloutStore
from appliance.install.judged import check, note, read
from appliance.learning.errors import GateRefusedError
from appliance.learning.results import read_results, written
from appliance.packs.permits import read_permits
from appliance.packs.record import NONE
from appliance.site.load import load_site
from tests import packs
from tests.integration.gateway.pack_site import ONE, use
from tests.integration.gateway.test_rollout_commands import done, later, listed, refused, run, site, steps
from tests.learning.seeded_results import DIGEST, harder, items, of_rows, results

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import ModuleType

    from tests.integration.gateway.pack_site import Site

__all__ = ["site"]
LARGER = "sha256:" + "1a" * 32
OLD, NEW = "Be kind.", "Be kind and brief."
FORMER, MADE = Looking().digest, Looking(passages=8).digest
SITE_OLD, SITE_NEW = "You serve the town.", "You serve the town, and say so."
LEGAL = "sha256:" + "22" * 32
CHANGES = """\
documents: {model: minilm}
learning:
  changes:
    - {name: brief, group: clerks, instructions: "Be kind and brief."}
    - {name: larger, group: clerks, model: small, by: large}
    - {name: more, group: clerks, documents: {passages: 8}}
    - {name: said, group: clerks, site_instructions: "You serve the town, and say so."}
    - {name: legal, group: clerks, model: small, adapter: legal}
"""


def settle(  # noqa: PLR0913 - what a site may say of it, by keyword
    site: Site,
    *,
    words: str = OLD,
    models: str = "small",
    changes: str = CHANGES,
    looks: str = "{passages: 5}",
    town: str = SITE_OLD,
    adapters: str = "",
) -> None:
    """What site.yaml says: its words, the group's, its models and settings, and what may be rolled out to it."""
    said = site.paths.site_yaml.read_text().partition("\ninstructions: ")[0]
    clerks = f"name: clerks, models: [{models}], adapters: [{adapters}], instructions: '{words}', documents: {looks}"
    clerks = f"{{{clerks}}}"
    small = "{name: small, context_tokens: 4096, adapters: [plain, legal]}"
    written_anew = {
        "models": f"[{small}, {{name: large, context_tokens: 4096}}, {{name: minilm}}]",
        "groups": f"[{clerks}, {{name: guards, models: [small]}}, {{name: auditors}}]",
    }
    lines = []
    for line in said.splitlines():
        name = line.partition(":")[0]
        lines.append(f"{name}: {written_anew[name]}" if name in written_anew else line)
    site.paths.site_yaml.write_text("\n".join(lines) + f"\ninstructions: '{town}'\n{changes}")


def given(site: Site, name: str, worse: float = 0.0, change: str | None = None, **told: Any) -> str:
    """A file of results of clerks, as `learn evaluate` writes it."""
    found = results(items(120), 1, harder(worse) if worse else lambda one: one)
    words = {"group": words_digest(told.pop("words", OLD)), "site": words_digest(told.pop("town", SITE_OLD))}
    about = {"group": "clerks", "instructions": words, **told}
    rows = [one.model_copy(update=about) for one in found.rows]
    now = load_site(site.paths.site_yaml)
    digest = change_digest(now, ("clerks",), change)
    made = of_rows(rows, site=now.name, groups=("clerks",), change=change, change_digest=digest)
    path = site.folder / name
    path.write_bytes(written(made.run, made.rows))
    return str(path)


def asked(site: Site, change: str, *, worse: float = 0.0) -> tuple[str, ...]:
    """The command that begins ``change``, with results as they should be."""
    under: dict[str, Any] = {
        "brief": {"words": NEW},
        "larger": {"model": LARGER},
        "more": {"looked_up": MADE},
        "said": {"town": SITE_NEW},
        "legal": {"adapter": LEGAL},
    }[change]
    before = {"looked_up": FORMER} if change == "more" else {}
    files = given(site, "before.jsonl", **before), given(site, f"{change}.jsonl", worse, change, **under)
    return ("start", "--group", "clerks", "--change", change, "--before", files[0], "--after", files[1])


DIGESTS = {
    "brief": (words_digest(OLD), words_digest(NEW)),
    "larger": (DIGEST, LARGER),
    "more": (FORMER, MADE),
    "said": (words_digest(SITE_OLD), words_digest(SITE_NEW)),
    "legal": (NONE, LEGAL),
}
KINDS = {
    "brief": "instructions",
    "larger": "model",
    "more": "documents",
    "said": "site_instructions",
    "legal": "adapter",
}
KEPT: dict[str, Callable[[Site], None]] = {
    "brief": lambda site: settle(site, words=NEW),
    "larger": lambda site: settle(site, models="large", changes=CHANGES.partition("    - {name: legal")[0]),
    "more": lambda site: settle(site, looks="{passages: 8}"),
    "said": lambda site: settle(site, town=SITE_NEW),
    "legal": lambda site: settle(site, adapters="legal"),
}


@pytest.mark.parametrize("change", KINDS)
def test_a_change_goes_past_the_gate_to_a_tenth_to_half_to_all_and_is_kept_when_site_yaml_has_it(
    site: Site, change: str
) -> None:
    settle(site)
    former, made = DIGESTS[change]
    assert "10 percent of clerks" in done(site, *asked(site, change))
    (found,) = listed(site)
    assert (found.kind, found.former, found.change) == (KINDS[change], former, made)
    permit = read_permits(site.paths.packs)["clerks"]
    assert (permit.id, permit.former, permit.change, permit.most) == (str(found.id), former, made, 10)
    assert [kind for kind, _ in site.logged()] == ["gate", "rollout"]
    assert site.logged()[-1][1]["name"] == change
    assert "nothing was asked" in done(site, "check", "--group", "clerks")
    for percent in (50, 100):
        later(site)
        assert f"{percent} percent of clerks" in done(site, "advance", "--group", "clerks")
        assert read_permits(site.paths.packs)["clerks"].most == percent
    later(site)
    assert "does not have the change in force" in refused(site, UsageError, "advance", "--group", "clerks").cause
    KEPT[change](site)
    assert "is kept" in done(site, "advance", "--group", "clerks")
    assert [one.state for one in listed(site)] == ["kept"]
    assert read_permits(site.paths.packs) == {}
    assert steps(site) == ["start 10", "advance 50", "advance 100", "keep 100"]


def test_another_change_of_the_groups_models_in_force_keeps_nothing(site: Site) -> None:
    settle(site)
    done(site, *asked(site, "larger"))
    for _ in range(2):
        later(site)
        done(site, "advance", "--group", "clerks")
    later(site)
    other = CHANGES + "    - {name: back, group: clerks, model: large, by: small}\n"
    settle(site, changes=other)
    refused(site, UsageError, "advance", "--group", "clerks")


def test_a_change_that_is_worse_begins_nothing_and_the_log_says_so(site: Site) -> None:
    settle(site)
    refused(site, GateRefusedError, *asked(site, "brief", worse=0.6))
    assert [kind for kind, _ in site.logged()] == ["gate"]


@pytest.mark.parametrize("command", ["rollout", "gate"])
@pytest.mark.parametrize("change", KINDS)
def test_what_the_gate_let_pass_may_be_put_in_force_and_nothing_else(site: Site, change: str, command: str) -> None:
    """Whether it was rolled out or not; what it refused may not."""
    settle(site)
    note(site.paths, load_site(site.paths.site_yaml))
    judge(site, asked(site, change, worse=0.6), command)
    KEPT[change](site)
    with pytest.raises(GateRefusedError, match="clerks: "):
        check(site.paths, load_site(site.paths.site_yaml))
    settle(site)
    judge(site, asked(site, change), command)
    KEPT[change](site)
    check(site.paths, load_site(site.paths.site_yaml))
    settle(site, words="Be strict.")
    with pytest.raises(GateRefusedError, match="clerks: instructions"):
        check(site.paths, load_site(site.paths.site_yaml))


def known(site: Site) -> dict[str, tuple[str, ...]]:
    """The weights that the gate knows of clerks."""
    return read(site.paths.judged)["clerks"].weights


def gate(site: Site, before: str, after: str) -> Any:
    return CliRunner().invoke(app, ["--site", str(site.paths.root), "learn", "gate", before, after])


@pytest.mark.parametrize("command", ["rollout", "gate"])
def test_the_gate_keeps_in_mind_which_weights_it_let_pass_in_another_models_place(site: Site, command: str) -> None:
    settle(site)
    judge(site, asked(site, "larger", worse=0.6), command)
    assert known(site) == {"small": (DIGEST,)}
    judge(site, asked(site, "larger"), command)
    assert known(site) == {"small": (DIGEST,), "large": (LARGER,)}


def test_weights_that_came_under_the_same_name_are_known_once_results_of_before_and_after_passed(site: Site) -> None:
    settle(site)
    before = given(site, "before.jsonl")
    assert isinstance(gate(site, before, given(site, "worse.jsonl", 0.6, model=LARGER)).exception, GateRefusedError)
    assert known(site) == {"small": (DIGEST,)}
    assert gate(site, before, given(site, "after.jsonl", model=LARGER)).exit_code == 0
    assert known(site) == {"small": (LARGER, DIGEST)}


def test_weights_of_a_change_that_is_another_by_now_are_not_noted(site: Site) -> None:
    """Whose they were nobody can tell any more."""
    settle(site)
    arguments = asked(site, "larger")
    settle(site, changes=CHANGES.replace("larger", "largest"))
    judge(site, arguments, "gate")
    assert known(site) == {}


@pytest.mark.parametrize(
    ("told", "about"),
    [
        ({"words": NEW}, {}),
        ({"adapter": LEGAL}, {}),
        ({}, {"pack": "none"}),
        ({}, {"site": "elsewhere"}),
        ({}, {"model": "large"}),
        ({}, {"groups": ("clerks", "guards")}),
        ({"score": 0.0}, {}),
    ],
    ids=["other words", "another adapter", "a pack", "another site", "two models", "several groups", "none was right"],
)
def test_results_that_differ_by_more_than_the_weights_say_nothing_of_these(
    site: Site, told: dict[str, Any], about: dict[str, Any]
) -> None:
    settle(site)
    before, after = given(site, "before.jsonl"), given(site, "after.jsonl", model=LARGER)
    for path in (before, after) if "score" in told or "groups" in about else (after,):
        raw = Path(path).read_bytes()
        found = read_results(raw, path)
        said = {"instructions": {**found.rows[0].instructions, "group": words_digest(NEW)}} if "words" in told else told
        rows = [one.model_copy(update=said) for one in found.rows]
        Path(path).write_bytes(written(found.run.model_copy(update=about), rows))
    done = gate(site, before, after)
    assert "nothing is noted of the weights that answered: " in done.stderr
    assert known(site) == {}


def judge(site: Site, arguments: tuple[str, ...], command: str) -> None:
    """As the command that begins a rollout has it, or by `learn gate` alone."""
    if command == "rollout":
        run(site, *arguments)
        return
    CliRunner().invoke(app, ["--site", str(site.paths.root), "learn", "gate", arguments[6], arguments[8]])


def test_results_that_are_none_of_the_change_let_nothing_pass(site: Site) -> None:
    """They name the change, and were given under other words than site.yaml has for it."""
    settle(site)
    note(site.paths, load_site(site.paths.site_yaml))
    before, after = given(site, "before.jsonl"), given(site, "after.jsonl", change="brief", words="Be strict.")
    found = CliRunner().invoke(app, ["--site", str(site.paths.root), "learn", "gate", before, after])
    assert (found.exit_code, "not noted as a change that site.yaml may have" in found.stderr) == (0, True)
    for words in (NEW, "Be strict."):
        settle(site, words=words)
        with pytest.raises(GateRefusedError):
            check(site.paths, load_site(site.paths.site_yaml))


def test_what_a_change_is_not_begins_nothing_and_is_not_logged(site: Site) -> None:
    settle(site)
    whole = asked(site, "brief")
    swapped = (*whole[:5], "--before", whole[8], "--after", whole[6])
    for arguments in (
        swapped,
        whole[:5],
        (*whole, "--dry-run"),
        (*whole, "--pack", "none"),
        (*whole[:4], "unknown", *whole[5:]),
        ("start", "--group", "guards", *whole[3:]),
        ("start", "--group", "clerks", "--pack", "none", *whole[5:]),
    ):
        refused(site, UsageError, *arguments)
    settle(site, words="Be strict.")
    refused(site, UsageError, *whole)
    assert site.logged() == []


def test_settings_of_documents_begin_only_where_answers_from_documents_were_judged_under_them(site: Site) -> None:
    settle(site)
    none = given(site, "none.jsonl"), given(site, "none_more.jsonl", change="more")
    other = given(site, "other.jsonl", looked_up=MADE), given(site, "more.jsonl", change="more", looked_up=MADE)
    for files, cause in ((none, "no case was answered from documents"), (other, "were not given under what site.yaml")):
        begun = ("start", "--group", "clerks", "--change", "more", "--before", files[0], "--after", files[1])
        assert cause in refused(site, UsageError, *begun).cause
    settle(site, looks="{passages: 8}")
    refused(site, UsageError, *asked(site, "more"))  # it is in force already
    assert site.logged() == []


def test_a_second_rollout_is_refused_before_anything_is_logged(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    """Also one that began between the first look and the site's lock."""
    settle(site)
    done(site, *asked(site, "brief"))
    logged = site.logged()
    refused(site, UsageError, *asked(site, "larger"))
    none_runs = RolloutStore.check_none_runs
    looks: list[str] = []

    async def overtaken(store: RolloutStore, group: str) -> None:
        looks.append(group)
        if len(looks) > 1:
            await none_runs(store, group)

    monkeypatch.setattr(RolloutStore, "check_none_runs", overtaken)
    refused(site, UsageError, *asked(site, "larger"))
    assert looks == ["clerks", "clerks"]
    assert site.logged() == logged


def test_a_pack_in_force_leaves_no_room_for_instructions_nor_its_adapter_for_another_model(site: Site) -> None:
    settle(site)
    site.bring()
    use(site, ONE)
    logged = site.logged()
    assert "under a pack" in refused(site, UsageError, *asked(site, "brief")).cause
    assert site.logged() == logged
    for change in ("larger", "more", "said", "legal"):
        assert "10 percent" in done(site, *asked(site, change))
        done(site, "back", "--group", "clerks")


def test_a_packs_adapter_leaves_no_room_for_another_model(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    settle(site)
    site.bring()
    use(site, ONE)
    adapter = {"name": "legal", "sha256": "11" * 32, "base_sha256": "22" * 32}
    monkeypatch.setattr(rollout_change, "open_pack", lambda *_: packs.pack(adapter=adapter))
    for change in ("larger", "legal"):
        assert "legal" in refused(site, UsageError, *asked(site, change)).cause
    assert "10 percent" in done(site, *asked(site, "said"))


@pytest.mark.parametrize("part", [rollout_change, rollout_site])
def test_without_the_log_no_change_begins(site: Site, monkeypatch: pytest.MonkeyPatch, part: ModuleType) -> None:
    """Neither without the gate's entry nor without the rollout's."""
    settle(site)

    def down(*_: object, **__: object) -> None:
        raise AuditUnavailableError("the audit writer does not answer")

    monkeypatch.setattr(part, "enter", down)
    refused(site, AuditUnavailableError, *asked(site, "brief"))
    assert [kind for kind, _ in site.logged()] == ([] if part is rollout_change else ["gate"])
