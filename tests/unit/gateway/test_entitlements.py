from __future__ import annotations

import pytest

from appliance.gateway.entitlements import allowed_models, grant, priority
from appliance.gateway.errors import ForbiddenError
from tests.gateway.doubles import site


def test_a_model_is_allowed_when_any_group_lists_it() -> None:
    assert allowed_models(site(), ["clerks"]) == ("small",)
    assert allowed_models(site(), ["clerks", "analysts"]) == ("small", "large")


def test_groups_that_the_site_does_not_know_grant_nothing() -> None:
    assert allowed_models(site(), ["visitors"]) == ()
    with pytest.raises(ForbiddenError):
        grant(site(), ["visitors"], "small")


@pytest.mark.parametrize("model", ["large", "unknown", ""])
def test_an_unknown_model_and_a_foreign_one_look_the_same(model: str) -> None:
    with pytest.raises(ForbiddenError) as refused:
        grant(site(), ["clerks"], model)
    assert refused.value.code == "model_not_allowed"
    assert refused.value.param == "model"


def test_a_request_is_charged_to_the_group_that_grants_most() -> None:
    groups = [
        {"name": "few", "models": ["small"], "per_user": {"tokens_per_day": 10}},
        {"name": "many", "models": ["small"], "per_user": {"tokens_per_day": 1000}},
        {"name": "most", "models": ["large"], "per_user": {"tokens_per_day": 9999}},
    ]
    assert grant(site(groups=groups), ["few", "many", "most"], "small").group.name == "many"


def test_the_first_group_of_the_site_file_wins_a_tie() -> None:
    assert grant(site(), ["clerks", "analysts"], "small").group.name == "analysts"


def test_a_program_whose_work_nobody_waits_for_comes_after_people() -> None:
    clients = [
        {"id": "nightly", "groups": ["clerks"], "priority": "batch"},
        {"id": "portal", "groups": ["clerks"]},
    ]
    found = site(service_clients=clients)
    assert priority(found, "nightly") < 0
    assert [priority(found, client) for client in ("portal", "sovereign-web", None)] == [0, 0, 0]
