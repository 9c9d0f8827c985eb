"""`sovereign status` says where people are answered by weights that no gate knows, though one judged before."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from appliance.install import gate_warnings as under_test
from appliance.install.gate_warnings import gate_warnings
from appliance.install.judged import decided, read
from appliance.install.probe import Probe
from appliance.learning.weights import JudgedWeights
from appliance.site.paths import SitePaths
from tests.gateway.doubles import site

if TYPE_CHECKING:
    from pathlib import Path

    from appliance.site.config import SiteConfig

FORMER, NEW = "sha256:" + "1a" * 32, "sha256:" + "2b" * 32


def config(*ungated: str) -> SiteConfig:
    groups = [{"name": "analysts", "models": ["small"]}, {"name": "clerks", "models": ["small"]}]
    return site(groups=groups, learning={"ungated": ungated})


@pytest.fixture
def paths(tmp_path: Path) -> SitePaths:
    return SitePaths(tmp_path)


def judge(paths: SitePaths, *, passed: bool = True) -> None:
    """A gate judged the new weights beside the former."""
    weights = JudgedWeights({"small": (FORMER,)}, {"small": (NEW,)}, passed)
    decided(paths, config(), ("analysts",), None, passed=passed, weights=weights)


def warned(paths: SitePaths, told: object, monkeypatch: pytest.MonkeyPatch, *ungated: str) -> tuple[str, ...]:
    monkeypatch.setattr(under_test, "fetch_json", lambda _: told)
    return gate_warnings(config(*ungated), paths)


def test_weights_that_came_under_a_name_that_a_gate_judged_are_told_until_it_judges_them(
    paths: SitePaths, monkeypatch: pytest.MonkeyPatch
) -> None:
    words = JudgedWeights({"small": (FORMER,)}, {"small": (FORMER,)}, passed=True)
    decided(paths, config(), ("analysts",), None, passed=True, weights=words)
    assert warned(paths, {"small": FORMER}, monkeypatch) == ()
    (line,) = warned(paths, {"small": NEW}, monkeypatch)
    assert line.startswith(f"small answers analysts by weights {NEW[:19]}… that no gate let pass")
    judge(paths)
    assert warned(paths, {"small": NEW}, monkeypatch) == warned(paths, {"small": FORMER}, monkeypatch) == ()


def test_weights_that_the_gate_refused_are_told_also_where_they_passed_before(
    paths: SitePaths, monkeypatch: pytest.MonkeyPatch
) -> None:
    judge(paths)
    judge(paths, passed=False)
    assert len(warned(paths, {"small": NEW}, monkeypatch)) == 1
    assert warned(paths, {"small": FORMER}, monkeypatch) == ()


def test_what_an_earlier_judgement_knew_is_not_forgotten_with_a_change_of_words(
    paths: SitePaths, monkeypatch: pytest.MonkeyPatch
) -> None:
    judge(paths)
    decided(paths, config(), ("analysts",), None, passed=True)
    assert read(paths.judged)["analysts"].weights == {"small": (NEW, FORMER)}
    assert len(warned(paths, {"small": "sha256:" + "3c" * 32}, monkeypatch)) == 1


def test_groups_that_nobody_judged_or_that_the_site_file_frees_are_not_told_of(
    paths: SitePaths, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert warned(paths, {"small": NEW}, monkeypatch) == ()
    judge(paths, passed=False)
    assert "clerks" not in "".join(warned(paths, {"small": NEW}, monkeypatch))
    assert warned(paths, {"small": NEW}, monkeypatch, "analysts") == ()
    assert warned(paths, {"large": NEW}, monkeypatch) == ()


@pytest.mark.parametrize("told", [{"small": None}, {"small": 7}, {"small": "sha256:\x1b[2J"}, {"small": []}])
def test_a_gateway_that_says_something_else_is_not_repeated(
    paths: SitePaths, monkeypatch: pytest.MonkeyPatch, told: Any
) -> None:
    judge(paths, passed=False)
    assert warned(paths, told, monkeypatch) == ()


@pytest.mark.parametrize(("runs", "lines"), [(True, 1), (False, 0)])
def test_a_gateway_that_runs_and_does_not_say_which_weights_answer_is_told(
    paths: SitePaths,
    monkeypatch: pytest.MonkeyPatch,
    runs: bool,  # noqa: FBT001 - pytest gives it by name
    lines: int,
) -> None:
    """One that does not run has a row of its own in `status`."""
    judge(paths)
    asked: list[Probe] = []
    monkeypatch.setattr(under_test, "answers", lambda probe: [asked.append(probe), runs][1])
    found = warned(paths, None, monkeypatch)
    assert (len(found), [probe.path for probe in asked]) == (lines, ["/healthz"])
    assert all(line == "the gateway does not say which weights answer" for line in found)


def test_a_host_s_gateway_is_asked_at_its_management_port(paths: SitePaths, monkeypatch: pytest.MonkeyPatch) -> None:
    judge(paths)
    asked: list[Probe] = []
    monkeypatch.setattr(under_test, "fetch_json", lambda probe: [asked.append(probe), {}][1])
    assert gate_warnings(config(), paths) == ()
    assert asked == [Probe("http", f"127.0.0.1:{config().listen.management_port}", "/weights")]


def test_whoever_may_not_read_the_record_is_told_nothing(paths: SitePaths, monkeypatch: pytest.MonkeyPatch) -> None:
    judge(paths, passed=False)
    monkeypatch.setattr(under_test.os, "access", lambda *_: False)
    assert warned(paths, {"small": NEW}, monkeypatch) == ()


def test_an_installed_site_file_that_was_edited_past_the_gate_is_told(
    paths: SitePaths, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is in force as soon as services start again, and no command asked a gate."""
    judge(paths)
    monkeypatch.setattr(under_test, "fetch_json", lambda _: {"small": NEW})
    edited = config().model_copy(update={"instructions": "Be strict."})
    (line,) = gate_warnings(edited, paths)
    assert line.startswith("the installed site.yaml changes what no gate let pass: analysts: the site's instructions")
    freed = config("analysts").model_copy(update={"instructions": "Be strict."})
    assert gate_warnings(freed, paths) == ()


def test_a_damaged_record_is_told(paths: SitePaths, monkeypatch: pytest.MonkeyPatch) -> None:
    judge(paths)
    paths.judged.write_bytes(b"{")
    (line,) = warned(paths, {"small": NEW}, monkeypatch)
    assert line.endswith("the record of what gates let pass, is damaged")
