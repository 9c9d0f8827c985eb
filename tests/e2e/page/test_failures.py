"""When something is wrong: the text is kept, the words are plain, and the way on is open."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from playwright.sync_api import expect

from tests.e2e.page import flows
from tests.e2e.page.scripts import DEFECT, ENGINE_GONE, LIMIT, LOG_DOWN, TOO_LONG, Refusal, Script

if TYPE_CHECKING:
    from playwright.sync_api import Page

    from tests.e2e.page.fake_gateway import FakeGateway

pytestmark = [pytest.mark.e2e, pytest.mark.network]


def _try(page: Page, text: str) -> None:
    page.locator("#question").fill(text)
    page.locator("#question").press("Enter")


@pytest.mark.parametrize(
    ("refusal", "words"),
    [
        (LOG_DOWN, "No answer is given without a record."),
        (ENGINE_GONE, "The assistant cannot answer at the moment."),
        (TOO_LONG, "It may be too long for the model."),
        (DEFECT, "Something went wrong on the server."),
        (Refusal(403, "model_not_allowed", "your groups do not include it"), "You are not allowed to do this."),
        (Refusal(409, "busy", "an answer is being written"), "An answer is still being written"),
    ],
    ids=lambda value: value.code if isinstance(value, Refusal) else "",
)
def test_a_refused_question_returns_to_the_field_with_the_reason_in_words(
    analyst: Page, gateway: FakeGateway, refusal: Refusal, words: str
) -> None:
    gateway.play(Script(refused=refusal))
    _try(analyst, "my careful question")
    expect(analyst.locator("#notice")).to_contain_text(words)
    expect(analyst.locator("#notice")).to_contain_text(refusal.detail)
    expect(analyst.locator("#question")).to_have_value("my careful question")
    assert analyst.locator(flows.ANSWER).count() == 0
    assert "The rule" in flows.ask(analyst, "again")
    expect(analyst.locator("#notice")).to_be_empty()


def test_a_limit_counts_down_and_then_lets_the_same_text_through(analyst: Page, gateway: FakeGateway) -> None:
    gateway.play(Script(refused=LIMIT))
    _try(analyst, "one too many")
    expect(analyst.locator(".countdown")).to_contain_text("You can send again in")
    analyst.locator("#question").press("Enter")
    assert gateway.asked == ["one too many"]
    expect(analyst.locator(".countdown")).to_have_text("You can send again now.")
    analyst.locator("#question").press("Enter")
    expect(flows.last_answer(analyst).locator(".receipt-button")).to_be_visible()
    assert gateway.asked == ["one too many", "one too many"]


def test_an_ended_session_asks_to_sign_in_and_loses_neither_text_nor_place(analyst: Page, gateway: FakeGateway) -> None:
    flows.ask(analyst, "begin")
    gateway.expire_sessions()
    _try(analyst, "words that took a while")
    expect(analyst.locator("dialog[open]")).to_contain_text("Please sign in again")
    analyst.locator("dialog[open]").get_by_role("button", name="Sign in").click()
    flows.fill_sign_in_form(analyst, "analyst", "analyst")
    expect(analyst.locator("#conversation-name")).to_have_text("begin")
    expect(analyst.locator("#question")).to_have_value("words that took a while")


def test_another_user_of_the_same_tab_does_not_see_the_draft(analyst: Page, gateway: FakeGateway) -> None:
    analyst.locator("#question").fill("for my eyes")
    gateway.expire_sessions()
    analyst.reload()
    flows.sign_in(analyst, "clerk", "clerk")
    expect(analyst.locator("#question")).to_have_value("")


def test_an_answer_that_breaks_off_keeps_its_beginning_and_can_be_tried_again(
    analyst: Page, gateway: FakeGateway
) -> None:
    gateway.play(Script(broken=ENGINE_GONE, hold_after=6), Script(text="whole"))
    answer = flows.send(analyst, "risky")
    expect(answer.locator(".prose")).to_contain_text("The rule")
    gateway.release()
    expect(answer.locator(".notice")).to_contain_text("The assistant cannot answer at the moment.")
    expect(answer.locator(".prose")).to_contain_text("The rule")
    answer.get_by_role("button", name="Answer again").click()
    expect(flows.last_answer(analyst).locator(".prose")).to_have_text("whole")


def test_a_connection_that_drops_in_the_middle_is_not_taken_for_an_end(analyst: Page, gateway: FakeGateway) -> None:
    gateway.play(Script(cut=True, hold_after=6))
    answer = flows.send(analyst, "risky")
    expect(answer.locator(".prose")).to_contain_text("The rule")
    gateway.release()
    expect(answer.locator(".notice")).to_contain_text("The connection broke")


def test_a_network_that_is_gone_is_named_and_the_text_waits(analyst: Page) -> None:
    analyst.route("**/api/**", lambda route: route.abort("connectionrefused"))
    _try(analyst, "is anybody there")
    expect(analyst.locator("#notice")).to_contain_text("The assistant does not answer.")
    expect(analyst.locator("#question")).to_have_value("is anybody there")
    analyst.unroute("**/api/**")
    assert "The rule" in flows.ask(analyst, "is anybody there")


def test_a_page_that_cannot_reach_its_server_offers_to_try_again(page: Page, gateway: FakeGateway) -> None:
    page.route("**/api/session", lambda route: route.abort("connectionrefused"))
    page.goto(gateway.url)
    expect(page.get_by_role("alert")).to_have_text("The assistant does not answer")
    page.unroute("**/api/session")
    page.locator("#again").click()
    expect(page.locator("#sign-in")).to_be_visible()


def test_a_conversation_that_is_gone_leads_to_the_empty_page_with_the_reason(analyst: Page) -> None:
    analyst.evaluate("() => { location.hash = '#/c/00000000-0000-4000-8000-000000000000'; }")
    expect(analyst.locator("#notice")).to_contain_text("This is not there any more.")
    expect(analyst.locator("#conversation-name")).to_have_text("What can I help you with?")


@pytest.mark.parametrize(
    ("code", "words"),
    [
        ("sign_in_refused", "Sign-in was refused."),
        ("audit_unavailable", "nobody is signed in without a record"),
        ("identity_unavailable", "The sign-in service does not answer"),
        ("something_new", "Sign-in did not work."),
    ],
)
def test_a_failed_sign_in_says_why_once(page: Page, gateway: FakeGateway, code: str, words: str) -> None:
    page.goto(f"{gateway.url}/?problem={code}")
    expect(page.get_by_role("alert")).to_contain_text(words)
    page.reload()
    expect(page.locator("#sign-in")).to_be_visible()
    assert page.get_by_role("alert").count() == 0


def test_an_answer_that_the_server_left_unfinished_says_so(analyst: Page, gateway: FakeGateway) -> None:
    gateway.seed("analyst", "Half")
    (conversation,) = gateway.conversations.values()
    for reason, words in (("interrupted", "was interrupted on the server"), (None, "is not finished")):
        conversation["messages"][-1].update({"finish_reason": reason, "receipt": None})
        analyst.reload()
        flows.open_conversation(analyst, "Half")
        expect(flows.last_answer(analyst).locator(".answer-note")).to_contain_text(words)
