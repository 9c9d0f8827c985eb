"""The record of what groups were answered under: a group that was judged once changes by its gate, or as it was."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from appliance.errors import DeploymentError
from appliance.install.judged import begin, check, decided, note, read
from appliance.learning.errors import GateRefusedError
from appliance.site.paths import SitePaths
from tests.gateway.doubles import site
from tests.unit.learning.test_answering import BY_NAME, KEPT, NOW
from tests.unit.learning.test_answering import config as answering

if TYPE_CHECKING:
    from pathlib import Path

    from appliance.site.config import SiteConfig

OLD, NEW, OTHER = "Be kind.", "Be kind and brief.", "Be strict."
CHANGES = [{"name": "brief", "group": "analysts", "instructions": NEW}]


def config(words: str = OLD, clerks: str = OLD, **learning: Any) -> SiteConfig:
    groups = [
        {"name": "analysts", "models": ["small"], "instructions": words},
        {"name": "clerks", "models": ["small"], "instructions": clerks},
    ]
    return site(groups=groups, learning={"changes": CHANGES, **learning})


@pytest.fixture
def paths(tmp_path: Path) -> SitePaths:
    return SitePaths(tmp_path)


def test_a_group_that_nobody_evaluates_is_held_to_no_gate(paths: SitePaths) -> None:
    note(paths, config())
    check(paths, config(OTHER))


def test_without_a_record_nothing_is_refused(paths: SitePaths) -> None:
    check(paths, config(OTHER))
    assert not paths.judged.exists()


def test_a_group_that_was_judged_changes_by_what_passed_and_back_and_by_nothing_else(paths: SitePaths) -> None:
    note(paths, config())
    (change,) = config().learning.changes
    decided(paths, config(), ("analysts",), None, passed=True)
    for words in (NEW, OTHER):
        with pytest.raises(GateRefusedError, match="analysts: instructions"):
            check(paths, config(words))
    check(paths, config(OLD, clerks=OTHER))
    decided(paths, config(), ("analysts",), change, passed=True)
    with pytest.raises(GateRefusedError):
        check(paths, config(OTHER))
    check(paths, config(NEW))
    note(paths, config(NEW))
    check(paths, config(OLD))


def test_what_is_refused_changes_no_record(paths: SitePaths) -> None:
    note(paths, config())
    decided(paths, config(), ("analysts",), None, passed=True)
    before = paths.judged.read_bytes()
    with pytest.raises(GateRefusedError):
        check(paths, config(OTHER))
    assert paths.judged.read_bytes() == before


def test_every_group_that_is_refused_is_named_at_once(paths: SitePaths) -> None:
    note(paths, config())
    decided(paths, config(), ("analysts", "clerks"), None, passed=False)
    with pytest.raises(GateRefusedError, match="analysts: instructions; clerks: instructions"):
        check(paths, config(OTHER, OTHER))


def test_a_group_that_the_site_file_frees_is_not_held_to_its_gate(paths: SitePaths) -> None:
    note(paths, config())
    decided(paths, config(), ("analysts", "clerks"), None, passed=False)
    check(paths, config(OTHER, ungated=["analysts"]))
    with pytest.raises(GateRefusedError, match="clerks"):
        check(paths, config(OTHER, OTHER, ungated=["analysts"]))


def test_a_group_that_is_judged_before_an_installation_noted_it_is_held_to_what_it_has(paths: SitePaths) -> None:
    """A site that comes from a release that kept no such record."""
    decided(paths, config(), ("analysts",), None, passed=True)
    check(paths, config(OLD))
    with pytest.raises(GateRefusedError):
        check(paths, config(OTHER))


def test_the_last_values_are_kept_and_none_twice(paths: SitePaths) -> None:
    for number in range(30):
        note(paths, config(f"Be kind, {number}."))
        note(paths, config(f"Be kind, {number}."))
    found = read(paths.judged)["analysts"].held["instructions"]
    assert len(found) == len(set(found)) == 20
    decided(paths, config("Be kind, 29."), ("analysts",), None, passed=True)
    check(paths, config("Be kind, 10."))
    with pytest.raises(GateRefusedError):
        check(paths, config("Be kind, 9."))


@pytest.mark.parametrize("damage", [b"", b"[]", b"{}", b'{"schema":2,"groups":{}}', b'{"schema":1,"groups":{"a":1}}'])
def test_a_damaged_record_is_told_and_neither_believed_nor_replaced(paths: SitePaths, damage: bytes) -> None:
    note(paths, config())
    paths.judged.write_bytes(damage)
    for act in (check, note):
        with pytest.raises(DeploymentError, match="what gates let pass, is damaged"):
            act(paths, config())
    assert paths.judged.read_bytes() == damage


@pytest.mark.parametrize("name", KEPT)
def test_what_passed_and_came_into_force_may_be_gone_back_from_and_come_again(paths: SitePaths, name: str) -> None:
    """As in an emergency: a larger model that does badly makes room for the former one at once."""
    of_group, of_site = KEPT[name]
    wanted = answering(of_group, **of_site)
    note(paths, NOW)
    decided(paths, NOW, ("analysts",), BY_NAME[name], passed=True)
    for following in (wanted, NOW, wanted):
        check(paths, following)
        note(paths, following)


@pytest.mark.parametrize(
    ("meanwhile", "then"),
    [
        pytest.param(({}, {"documents": {}}), ({}, {"documents": {"model": "minilm", "passages": 12}}), id="documents"),
        pytest.param(({"models": [], "adapters": []}, {}), ({"models": ["tiny"]}, {}), id="no model for a while"),
        pytest.param(
            ({"models": ["small", "large"], "adapters": ["plain", "bad"]}, {}),
            ({"models": ["large"], "adapters": ["bad"]}, {}),
            id="an adapter that came behind",
        ),
        pytest.param(
            ({"models": ["small", "tiny"]}, {}),
            ({"models": ["tiny"], "adapters": []}, {}),
            id="a model that came behind",
        ),
    ],
)
def test_two_installations_let_nothing_pass_that_one_would_not(
    paths: SitePaths, meanwhile: tuple[dict[str, Any], dict[str, Any]], then: tuple[dict[str, Any], dict[str, Any]]
) -> None:
    note(paths, NOW)
    decided(paths, NOW, ("analysts",), BY_NAME["larger"], passed=True)
    for number, (group, more) in enumerate((then, meanwhile, then)):
        wanted = answering(group, **more)
        if number == 1:
            check(paths, wanted)
            note(paths, wanted)
            continue
        with pytest.raises(GateRefusedError):
            check(paths, wanted)


def test_a_change_that_passed_once_and_was_refused_the_next_time_did_not_pass(paths: SitePaths) -> None:
    """Whoever draws often enough has luck once."""
    note(paths, config())
    (change,) = config().learning.changes
    for passed in (True, False):
        decided(paths, config(), ("analysts",), change, passed=passed)
    with pytest.raises(GateRefusedError):
        check(paths, config(NEW))


def test_an_installation_that_was_cut_off_before_it_was_noted_may_be_repeated(paths: SitePaths) -> None:
    """People were answered under it when the gate judged the first time."""
    note(paths, config())
    decided(paths, config(OTHER), ("analysts",), None, passed=True)
    check(paths, config(OTHER))
    check(paths, config())


def test_what_a_release_without_a_record_put_in_force_is_noted_before_anything_follows(paths: SitePaths) -> None:
    paths.site_yaml.write_text("schema: 1\nname: s\nmodels: [{name: m}]\ngroups: [{name: analysts, models: [m]}]\n")
    begin(paths, paths.site_yaml)
    assert read(paths.judged)["analysts"].held["models and adapters"] == ("m",)
    before = paths.judged.read_bytes()
    paths.site_yaml.write_text(paths.site_yaml.read_text() + "instructions: Be kind.\n")
    begin(paths, paths.site_yaml)
    assert paths.judged.read_bytes() == before


def test_the_record_is_its_owners_alone(paths: SitePaths) -> None:
    note(paths, config())
    assert paths.judged.stat().st_mode & 0o777 == 0o600
