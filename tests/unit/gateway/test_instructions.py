"""What the site and a group say first: in front of everybody it is meant for, shared no wider, named in the receipt."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Any

import pytest

from appliance.audit.receipt_check import receipt_digest
from appliance.engine.protocol import Message
from appliance.gateway.engine_asked import engine_request
from appliance.gateway.entitlements import grant
from appliance.gateway.instructions import Instructions, conversation
from appliance.gateway.openai_responses import model_object
from tests.gateway.doubles import receipt, site

if TYPE_CHECKING:
    from appliance.site.config import SiteConfig

QUESTION = ({"role": "user", "content": "what is this?"},)
FORMAL = {"name": "formal", "version": "1.0.0", "digest": "sha256:" + "fa" * 32}


def told(site_words: str = "", group_words: str = "") -> SiteConfig:
    groups = [
        {"name": "analysts", "models": ["small"], "instructions": group_words},
        {"name": "clerks", "models": ["small"]},
    ]
    return site(instructions=site_words, groups=groups)


@pytest.mark.parametrize(
    ("of_site", "of_group", "scope"),
    [("Be brief.", "", "site"), ("", "You serve analysts.", "group"), ("Be brief.", "You serve analysts.", "group")],
)
def test_they_come_first_in_the_scope_of_whoever_wrote_the_last_of_them(
    of_site: str, of_group: str, scope: str
) -> None:
    first, question = conversation(QUESTION, Instructions(of_site, of_group))
    assert (first.role, first.scope) == ("system", scope)
    assert first.content == "\n\n".join(part for part in (of_site, of_group) if part)
    assert question == Message("user", "what is this?")


def test_words_on_trial_are_nobodys_but_the_askers_so_they_replace_no_pin() -> None:
    (first, _) = conversation(QUESTION, Instructions("Be brief.", "You serve analysts.", trial=True))
    assert (first.content, first.scope) == ("Be brief.\n\nYou serve analysts.", "user")


def test_a_group_s_words_are_for_that_group_alone() -> None:
    found = told("Be brief.", "You serve analysts.")
    assert grant(found, ["clerks"], "small").instructions == Instructions("Be brief.", "")


def test_a_callers_own_system_message_follows_and_makes_the_whole_the_callers() -> None:
    own = {"role": "system", "content": "Answer in French."}
    (first, _) = conversation((own, *QUESTION), Instructions("Be brief.", ""))
    assert first == Message("system", "Be brief.\n\nAnswer in French.", "user")


def test_without_instructions_nothing_is_added() -> None:
    assert conversation(QUESTION, Instructions()) == (Message("user", "what is this?"),)
    assert Instructions.for_group(told("  \n", ""), told().groups[0]) == Instructions()


@pytest.mark.anyio
async def test_the_receipt_names_them_by_digest_and_not_by_their_words(bench: Any) -> None:
    granted = grant(told("Be brief.", "You serve analysts."), ["analysts"], "small")
    steps = await bench.steps(grant=granted)
    given = steps[-1].receipt
    assert given["instructions"] == {
        "site": "sha256:" + hashlib.sha256(b"Be brief.").hexdigest(),
        "group": "sha256:" + hashlib.sha256(b"You serve analysts.").hexdigest(),
    }
    assert "Be brief" not in str(given)
    _, entry = bench.log.entries[-1]
    assert receipt_digest(given) in str(entry)


@pytest.mark.anyio
async def test_a_completion_is_continued_as_it_is(bench: Any) -> None:
    granted = grant(told("Be brief."), ["analysts"], "small")
    steps = await bench.steps(grant=granted, messages=None, prompt="Once upon")
    assert "instructions" not in steps[-1].receipt
    assert bench.engine.requests[-1].prompt == "Once upon"
    assert bench.engine.requests[-1].messages is None


@pytest.mark.anyio
async def test_a_groups_adapter_is_asked_for_and_the_receipt_names_it_and_no_other(bench: Any) -> None:
    models = [{"name": "small", "adapters": ["brief", "formal"]}]
    groups = [
        {"name": "analysts", "models": ["small"], "adapters": ["formal"]},
        {"name": "clerks", "models": ["small"]},
    ]
    found = site(models=models, groups=groups)
    bench.engine.adapters = {"formal": FORMAL, "brief": {**FORMAL, "name": "brief"}}
    steps = await bench.steps(grant=grant(found, ["analysts"], "small"))
    assert bench.engine.requests[-1].adapter == "formal"
    assert steps[-1].receipt["adapter"] == FORMAL
    assert "brief" not in str(steps[-1].receipt)
    steps = await bench.steps(grant=grant(found, ["clerks"], "small"))
    assert bench.engine.requests[-1].adapter is None
    assert "adapter" not in steps[-1].receipt
    assert "adapters" not in steps[-1].receipt["model"]


@pytest.mark.anyio
async def test_an_engine_that_was_started_with_another_adapter_of_the_name_does_not_answer(bench: Any) -> None:
    """What the request was admitted for includes the adapters: another digest of one is another model."""
    bench.engine.adapters = {"formal": FORMAL}
    before = engine_request(await bench.job())
    bench.engine.adapters = {"formal": {**FORMAL, "digest": "sha256:" + "00" * 32}}
    assert engine_request(await bench.job()).receipt_digest != before.receipt_digest


@pytest.mark.anyio
async def test_the_list_of_models_tells_nobody_of_other_groups_adapters(bench: Any) -> None:
    bench.engine.adapters = {"formal": FORMAL}
    assert "formal" not in str(model_object("small", await bench.engine.model()))
    assert receipt("small")["digest"] in str(model_object("small", await bench.engine.model()))
