"""How sure an answer is stands in words and as a number, or that it is not known; experts are asked and answer."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from playwright.sync_api import expect

from tests.e2e.page import flows
from tests.e2e.page.scripts import HOSTILE, Script
from tests.e2e.page.test_accessibility import _violations

if TYPE_CHECKING:
    from playwright.sync_api import Page

    from tests.e2e.page.fake_gateway import FakeGateway

pytestmark = [pytest.mark.e2e, pytest.mark.network]
SURE: dict[str, Any] = {
    "value": 0.712,
    "calibrated": True,
    "labels": 214,
    "ece": 0.041,
    "outcome": "given",
    "beta": True,
    "calibration": "sha256:" + "ca" * 32,
}
UNKNOWN = {**SURE, "value": None, "calibrated": False, "labels": None, "ece": None}


def told(page: Page, gateway: FakeGateway, confidence: dict[str, Any] | None) -> Any:
    gateway.play(Script(text="It is so.", confidence=confidence))
    flows.ask(page, "Is it so?")
    return flows.last_answer(page)


def test_a_calibrated_number_is_said_in_words_and_marked_as_beta(analyst: Page, gateway: FakeGateway) -> None:
    answer = told(analyst, gateway, SURE)
    expect(answer.locator(".confidence")).to_contain_text("About 7 of 10 such answers were right (0.71")
    expect(answer.locator(".confidence")).to_contain_text("214 checked answers")
    expect(answer.locator(".beta")).to_have_text("beta")
    answer.locator(".receipt-button").click()
    drawer = analyst.get_by_role("dialog")
    expect(drawer).to_contain_text("How sure it is")
    expect(drawer).to_contain_text("0.041")
    assert _violations(analyst) == []


def test_what_is_not_calibrated_has_no_number(analyst: Page, gateway: FakeGateway) -> None:
    answer = told(analyst, gateway, UNKNOWN)
    expect(answer.locator(".confidence")).to_contain_text("not calibrated")
    assert not any(letter.isdigit() for letter in answer.locator(".confidence").inner_text())
    none = told(analyst, gateway, None)
    expect(none.locator(".answer-foot")).to_be_visible()
    expect(none.locator(".confidence")).to_have_count(0)


def test_what_was_measured_under_other_instructions_says_so_and_has_no_number(
    analyst: Page, gateway: FakeGateway
) -> None:
    answer = told(analyst, gateway, {**UNKNOWN, "unmeasured": "other_setting"})
    expect(answer.locator(".confidence")).to_contain_text("not measured for these instructions")
    assert not any(letter.isdigit() for letter in answer.locator(".confidence").inner_text())
    answer.locator(".receipt-button").click()
    expect(analyst.get_by_role("dialog")).to_contain_text("not measured for these instructions")


def test_a_number_that_no_calibration_stands_behind_is_not_drawn(analyst: Page, gateway: FakeGateway) -> None:
    answer = told(analyst, gateway, {**SURE, "calibrated": False})
    expect(answer.locator(".confidence")).to_contain_text("not calibrated")
    expect(answer.locator(".confidence")).not_to_contain_text("0.71")


def test_marked_and_withheld_answers_say_why(analyst: Page, gateway: FakeGateway) -> None:
    marked = told(analyst, gateway, {**SURE, "value": 0.31, "outcome": "marked", "cause": "low_confidence"})
    expect(marked.locator(".confidence-warns")).to_contain_text("Take care")
    held = told(analyst, gateway, {**SURE, "value": 0.31, "outcome": "abstained", "cause": "low_confidence"})
    expect(held.locator(".confidence")).to_contain_text("The answer was withheld")
    expect(held.get_by_role("button", name="Ask an expert")).to_be_visible()


def test_an_answer_that_is_held_back_shows_how_far_it_is(analyst: Page, gateway: FakeGateway) -> None:
    gateway.play(Script(text="It is so.", confidence=SURE, held=(1, 9), hold_after=0))
    flows.send(analyst, "Is it so?")
    expect(analyst.locator(".waiting")).to_contain_text("9 tokens written")
    assert "It is so." not in analyst.locator(".turn-answer").last.inner_text()
    gateway.release()
    expect(flows.last_answer(analyst).locator(".prose")).to_contain_text("It is so.")
    expect(analyst.locator(".waiting")).to_have_count(0)


def test_experts_are_asked_and_what_they_see_is_said_first(analyst: Page, gateway: FakeGateway) -> None:
    answer = told(analyst, gateway, SURE)
    answer.get_by_role("button", name="Ask an expert").click()
    form = answer.locator("form.feedback")
    expect(form).to_contain_text("The experts of analysts see this question and its answer")
    assert gateway.feedback == {}
    form.get_by_role("button", name="Ask them").click()
    expect(answer.locator(".feedback-place")).to_contain_text("You asked the experts of analysts")
    (said,) = gateway.feedback.values()
    assert (said["send"], said["asks"], said["group"]) == (True, True, "analysts")


def test_an_experts_answer_stands_in_the_conversation_as_text_and_is_new_until_seen(
    analyst: Page, gateway: FakeGateway
) -> None:
    conversation = gateway.seed("analyst", "Parking")
    message = gateway.conversations[conversation]["messages"][-1]["id"]
    about = {"id": "e1", "message_id": message, "conversation_id": conversation, "group": "analysts", "seen": False}
    words = {"question": "Where?", "answer": HOSTILE, "created": "2026-11-26T10:00:00Z"}
    gateway.expert_answers.append(about | words)
    analyst.reload()
    badge = analyst.locator("#expert-answers-new")
    expect(badge).to_have_text("1 new answer from an expert")
    badge.click()
    drawer = analyst.get_by_role("dialog")
    expect(drawer.locator(".expert-answer")).to_contain_text("<img src=")
    expect(badge).to_be_hidden()
    drawer.get_by_role("link", name="Open the conversation").click()
    analyst.keyboard.press("Escape")
    shown = analyst.locator(".turn-answer .expert-answer")
    expect(shown).to_contain_text("Answered by an expert of analysts")
    expect(shown).to_contain_text("<script>alert(2)</script>")
    assert analyst.locator(".expert-answer img, .expert-answer script, .expert-answer style").count() == 0
    assert gateway.expert_answers[0]["seen"] is True
