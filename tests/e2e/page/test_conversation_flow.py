"""The way through the page: ask, read, stop, retry, rename, search, delete, mark, sign out."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from playwright.sync_api import expect

from tests.e2e.page import flows
from tests.e2e.page.scripts import ANSWER, Script

if TYPE_CHECKING:
    from playwright.sync_api import Page

    from tests.e2e.page.fake_gateway import FakeGateway

pytestmark = [pytest.mark.e2e, pytest.mark.network]


def test_an_answer_arrives_whole_and_its_text_is_the_models(analyst: Page, gateway: FakeGateway) -> None:
    text = flows.ask(analyst, "What does the rule ask for?")
    assert gateway.asked == ["What does the rule ask for?"]
    assert "The rule has three parts" in text
    assert "within five working days" in text
    flows.last_answer(analyst).get_by_role("button", name="Copy the answer").click()
    expect(analyst.locator("#live")).to_have_text("Copied.")
    assert analyst.evaluate("() => navigator.clipboard.readText()") == ANSWER


def test_tokens_are_shown_while_the_model_still_writes(analyst: Page, gateway: FakeGateway) -> None:
    gateway.play(Script(hold_after=5))
    answer = flows.send(analyst, "slowly, please")
    expect(answer.locator(".prose")).to_contain_text("The rule has three parts")
    expect(answer).to_have_attribute("aria-busy", "true")
    expect(analyst.locator("#stop")).to_be_visible()
    gateway.release()
    expect(answer.locator(".receipt-button")).to_be_visible()
    expect(analyst.locator("#send")).to_be_visible()


def test_stopping_ends_the_model_and_keeps_what_was_written(analyst: Page, gateway: FakeGateway) -> None:
    gateway.play(Script(hold_after=6))
    answer = flows.send(analyst, "too long")
    expect(answer.locator(".prose")).to_contain_text("The rule")
    flows.stop(analyst)
    expect(flows.last_answer(analyst).locator(".receipt-button")).to_be_visible()
    expect(flows.last_answer(analyst).locator(".prose")).to_contain_text("The rule")
    expect(analyst.locator("#question")).to_be_focused()
    assert gateway.stopped == 1


def test_escape_stops_an_answer_from_wherever_the_focus_is(analyst: Page, gateway: FakeGateway) -> None:
    gateway.play(Script(hold_after=6))
    answer = flows.send(analyst, "too long")
    expect(answer.locator(".prose")).to_contain_text("The rule")
    analyst.locator("#search").focus()
    analyst.keyboard.press("Escape")
    expect(flows.last_answer(analyst).locator(".answer-note")).to_have_text("You stopped this answer.")


def test_answering_again_replaces_the_last_answer_only(analyst: Page, gateway: FakeGateway) -> None:
    flows.ask(analyst, "first")
    gateway.play(Script(text="one"), Script(text="two"))
    flows.ask(analyst, "second")
    assert analyst.get_by_role("button", name="Answer again").count() == 1
    assert flows.retry(analyst) == "two"
    assert analyst.locator(flows.ANSWER).count() == 2
    analyst.reload()
    expect(flows.last_answer(analyst).locator(".prose")).to_have_text("two")
    assert gateway.asked == ["first", "second", "second"]


def test_an_answer_cut_by_its_length_says_so(analyst: Page, gateway: FakeGateway) -> None:
    gateway.play(Script(finish_reason="length"))
    flows.ask(analyst, "everything")
    expect(flows.last_answer(analyst).locator(".answer-note")).to_contain_text("length limit")


def test_a_conversation_is_titled_listed_renamed_found_and_deleted(analyst: Page, gateway: FakeGateway) -> None:
    gateway.seed("analyst", "Évaluation annuelle", days_ago=1)
    gateway.seed("clerk", "somebody else's", days_ago=1)
    flows.ask(analyst, "Shift plan for March")
    flows.expect_titles(analyst, "Shift plan for March", "Évaluation annuelle")
    flows.rename(analyst, "Plan")
    flows.expect_titles(analyst, "Plan", "Évaluation annuelle")
    flows.search(analyst, "evaluation")
    flows.expect_titles(analyst, "Évaluation annuelle")
    flows.search(analyst, "")
    flows.delete(analyst)
    flows.expect_titles(analyst, "Évaluation annuelle")
    expect(analyst.locator("#question")).to_be_focused()


def test_deleting_asks_first_and_the_safe_answer_has_the_focus(analyst: Page, gateway: FakeGateway) -> None:
    gateway.seed("analyst", "Keep me")
    analyst.reload()
    flows.open_conversation(analyst, "Keep me")
    analyst.locator("#delete").click()
    expect(analyst.get_by_role("button", name="Cancel")).to_be_focused()
    flows.close_dialog(analyst)
    expect(analyst.locator("#delete")).to_be_focused()
    assert len(gateway.conversations) == 1


def test_back_and_reload_return_to_the_conversation_that_was_open(analyst: Page, gateway: FakeGateway) -> None:
    gateway.seed("analyst", "One")
    gateway.seed("analyst", "Two", days_ago=1)
    analyst.reload()
    flows.open_conversation(analyst, "One")
    flows.open_conversation(analyst, "Two")
    analyst.go_back()
    expect(analyst.locator("#conversation-name")).to_have_text("One")
    analyst.reload()
    expect(analyst.locator("#conversation-name")).to_have_text("One")


def test_feedback_is_sent_with_its_reason_and_outlives_a_reload(analyst: Page, gateway: FakeGateway) -> None:
    flows.ask(analyst, "mark this")
    flows.mark(analyst, good=False, reason="the second step is wrong")
    assert list(gateway.feedback.values()) == [{"verdict": "down", "reason": "the second step is wrong"}]
    flows.mark(analyst, good=True)  # closed again: a click on the other thumb throws no words away
    assert [said["verdict"] for said in gateway.feedback.values()] == ["down"]
    flows.mark(analyst, good=True, reason="the second step is right")
    assert list(gateway.feedback.values()) == [{"verdict": "up", "reason": "the second step is right"}]
    analyst.reload()
    pressed = flows.last_answer(analyst).get_by_role("button", name="This answer is good")
    expect(pressed).to_have_attribute("aria-pressed", "true")


def test_a_failure_is_sent_to_experts_only_by_a_tick_beside_what_they_will_see_and_taken_back(
    analyst: Page, gateway: FakeGateway
) -> None:
    flows.ask(analyst, "mark this")
    answer = flows.last_answer(analyst)
    answer.get_by_role("button", name="This answer is not good").click()
    form = answer.locator(".feedback")
    form.get_by_label("It is not true").check()
    form.get_by_label("What should it have said?").fill("the first step")
    form.get_by_role("button", name="Keep this").click()
    expect(form).to_have_count(0)
    (said,) = gateway.feedback.values()
    assert said == {"verdict": "down", "reasons": ["wrong"], "correction": "the first step"}
    answer.get_by_role("button", name="This answer is not good").click()
    expect(form.get_by_label("It is not true")).to_be_checked()
    expect(form).to_contain_text("They do not see who I am")
    form.get_by_label("Let the experts of analysts").check()
    form.get_by_role("button", name="Keep this").click()
    expect(form).to_have_count(0)
    assert [(one["send"], one["group"]) for one in gateway.feedback.values()] == [(True, "analysts")]
    analyst.reload()
    expect(flows.last_answer(analyst)).to_contain_text("You let the experts of analysts see this answer.")
    answer.get_by_role("button", name="This answer is not good").click()
    form.get_by_role("button", name="Take my mark back").click()
    expect(form).to_have_count(0)
    expect(answer.get_by_role("button", name="This answer is not good")).to_have_attribute("aria-pressed", "false")
    assert gateway.feedback == {}


def test_who_is_in_several_groups_says_whose_experts_and_reads_it_beside_the_tick(
    analyst: Page, gateway: FakeGateway
) -> None:
    gateway.open_to = ["analysts", "pilot"]
    flows.ask(analyst, "mark this")
    answer = flows.last_answer(analyst)
    answer.get_by_role("button", name="This answer is not good").click()
    form = answer.locator(".feedback")
    form.get_by_label("Whose experts?").select_option("pilot")
    form.get_by_label("Let the experts of pilot").check()
    form.get_by_role("button", name="Keep this").click()
    expect(form).to_have_count(0)
    assert [one["group"] for one in gateway.feedback.values()] == ["pilot"]
    expect(answer).to_contain_text("You let the experts of pilot see this answer.")
    answer.get_by_role("button", name="This answer is not good").click()
    expect(form.get_by_label("Whose experts?")).to_have_value("pilot")
    expect(form.get_by_label("Let the experts of pilot")).to_be_checked()


def test_experts_of_another_group_are_not_shown_what_was_sent_to_one_that_may_not_see_it_any_more(
    analyst: Page, gateway: FakeGateway
) -> None:
    gateway.open_to = ["analysts", "pilot"]
    flows.ask(analyst, "mark this")
    answer = flows.last_answer(analyst)
    answer.get_by_role("button", name="This answer is not good").click()
    form = answer.locator(".feedback")
    form.get_by_label("Whose experts?").select_option("pilot")
    form.get_by_label("Let the experts of pilot").check()
    form.get_by_role("button", name="Keep this").click()
    expect(form).to_have_count(0)
    gateway.open_to = ["analysts"]
    answer.get_by_role("button", name="This answer is not good").click()
    expect(form).to_contain_text("keeping this form takes it back from them")
    expect(form.get_by_label("Let the experts of analysts")).not_to_be_checked()
    form.get_by_role("button", name="Keep this").click()
    expect(form).to_have_count(0)
    assert ["group" in one for one in gateway.feedback.values()] == [False]


def test_an_answer_from_documents_that_no_group_of_the_persons_may_read_whole_is_not_sent(
    analyst: Page, gateway: FakeGateway
) -> None:
    gateway.open_to = []
    flows.ask(analyst, "mark this")
    answer = flows.last_answer(analyst)
    answer.get_by_role("button", name="This answer is not good").click()
    form = answer.locator(".feedback")
    expect(form).to_contain_text("This answer cannot be sent to experts")
    assert form.locator("[name=send]").count() == 0
    form.get_by_label("What should it have said?").fill("the first step")
    form.get_by_role("button", name="Keep this").click()
    expect(form).to_have_count(0)
    assert list(gateway.feedback.values()) == [{"verdict": "down", "correction": "the first step"}]


def test_what_was_sent_is_taken_back_even_when_another_answer_stands_in_its_place(
    analyst: Page, gateway: FakeGateway
) -> None:
    flows.ask(analyst, "mark this")
    answer = flows.last_answer(analyst)
    answer.get_by_role("button", name="This answer is not good").click()
    answer.locator(".feedback").get_by_label("Let the experts of analysts").check()
    answer.locator(".feedback").get_by_role("button", name="Keep this").click()
    expect(answer.locator(".feedback")).to_have_count(0)
    note = analyst.get_by_text("still see an earlier answer here")
    expect(note).to_be_hidden()
    flows.retry(analyst)
    expect(note).to_be_visible()
    analyst.reload()
    expect(note).to_be_visible()
    analyst.get_by_role("button", name="Take it back").click()
    expect(note).to_be_hidden()
    assert gateway.feedback == {}


def test_the_model_is_chosen_among_those_one_may_use_and_then_fixed(analyst: Page, gateway: FakeGateway) -> None:
    assert analyst.locator("#model-pick option").all_inner_texts() == ["gemma3-270m", "apertus-8b"]
    expect(analyst.locator("#model-pick")).to_contain_text("under a waiver")
    flows.choose_model(analyst, "apertus-8b")
    expect(analyst.locator("#model-pick")).not_to_contain_text("under a waiver")
    flows.ask(analyst, "hello")
    assert [c["model"] for c in gateway.conversations.values()] == ["apertus-8b"]
    assert analyst.locator("#model-pick select").count() == 0


def test_who_may_use_no_model_is_told_whom_to_ask(page: Page, gateway: FakeGateway) -> None:
    flows.open_page(page, gateway.url)
    flows.sign_in(page, "auditor", "auditor")
    expect(page.locator("#conversation-name")).to_have_text("No model is open to you yet")
    page.locator("#question").fill("hello")
    page.locator("#question").press("Enter")
    assert gateway.asked == []


def test_signing_out_ends_the_session_and_forgets_the_draft(analyst: Page, gateway: FakeGateway) -> None:
    analyst.locator("#question").fill("half a thought")
    flows.sign_out(analyst)
    assert gateway.sessions == {}
    flows.sign_in(analyst, "analyst", "analyst")
    expect(analyst.locator("#question")).to_have_value("")
