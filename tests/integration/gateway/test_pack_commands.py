"""`sovereign pack` as an operator runs it: against a real database, a real audit writer and a scripted model."""

from __future__ import annotations

import json
import os
import re
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING

import pytest
from typer.testing import CliRunner

from airgap_bundle import keys
from airgap_bundle.trust_state import TrustState
from appliance.cli.main import app
from appliance.errors import NotAllowedError, SovereignError, UnavailableError, UsageError
from appliance.install.status_warnings import pack_warnings
from appliance.learning.errors import GateRefusedError
from appliance.packs.errors import PackError, PackRefusedError
from appliance.packs.record import NONE
from appliance.site.load import load_site
from tests import bundles, model_bundles, packs
from tests.integration.gateway.pack_site import ONE, TWO, Site, running, use

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from tests.gateway import postgres


@pytest.fixture
def site(tmp_path: Path, cluster: postgres.Cluster, monkeypatch: pytest.MonkeyPatch) -> Iterator[Site]:
    with running(tmp_path, cluster, monkeypatch) as found:
        yield found


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


def _once(act: Callable[[], object]) -> Callable[[], None]:
    """``act`` at the first question of a trial."""
    done: list[bool] = []

    def meanwhile() -> None:
        if not done:
            done.append(True)
            act()

    return meanwhile


def test_signers_who_leave_during_a_trial_put_nothing_in_force(site: Site) -> None:
    site.bring()
    later = model_bundles.granting(3, ("outsider", "stranger"))
    site.model.meanwhile = _once(lambda: packs.trusting(site.paths, later))
    assert "still names 0" in site.refused(PackRefusedError, "use", "trial", "--group", "clerks").cause


def test_a_site_that_is_changed_during_a_trial_is_tried_again(site: Site) -> None:
    site.bring()
    before = site.paths.site_yaml.read_text()
    changed = before.replace("{name: clerks, ", "{name: clerks, instructions: Tell it all., ")
    site.model.meanwhile = _once(lambda: site.paths.site_yaml.write_text(changed))
    assert "meanwhile" in site.refused(UsageError, "use", "trial", "--group", "clerks").cause
    use(site, ONE)


def test_a_pack_that_the_policy_accepts_no_more_is_not_chosen_and_may_be_gone_back_to(site: Site) -> None:
    site.bring()
    use(site, ONE)
    use(site, TWO)
    (site.paths.policies / "models.yaml").write_text(packs.POLICY.replace("[trial]", "[nobody]"))
    site.refused(PackRefusedError, "use", "trial", "--group", "guards")
    assert site.in_force() == TWO.digest
    assert site.told("back", "--group", "clerks")["pack"] == ONE.digest


def test_a_clock_that_was_set_back_makes_no_signature_last_longer(site: Site) -> None:
    site.bring()
    known = TrustState.load(site.paths.trust)
    replace(known, clock=packs.soon() + timedelta(days=400)).save(site.paths.trust)
    assert "ended" in site.refused(PackRefusedError, "use", "trial", "--group", "clerks").cause


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
