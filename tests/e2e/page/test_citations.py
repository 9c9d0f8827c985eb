"""Answers from documents: numbers that open passages, words where there is no source, and nothing drawn but text."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from playwright.sync_api import expect

from tests.e2e.page import flows
from tests.e2e.page.scripts import CITED, PARKING, SAFE, Script

if TYPE_CHECKING:
    from playwright.sync_api import Page

    from tests.e2e.page.fake_gateway import FakeGateway

pytestmark = [pytest.mark.e2e, pytest.mark.network]
FROM = Script(text=CITED, passages=(PARKING, SAFE))


def test_a_number_opens_the_passage_with_what_the_claim_rests_on_set_off(analyst: Page, gateway: FakeGateway) -> None:
    gateway.play(FROM)
    flows.ask(analyst, "Where may visitors park?")
    prose = flows.last_answer(analyst).locator(".prose")
    assert "[1]." not in prose.inner_text()
    first = prose.get_by_role("button", name="Source 1: House rules <b>2026</b>").first
    first.focus()
    analyst.keyboard.press("Enter")
    drawer = analyst.get_by_role("dialog", name="Passage 1")
    expect(drawer.locator(".passage-title")).to_have_text("House rules <b>2026</b>")
    expect(drawer.locator(".passage-about")).to_have_text("Parking · Visitors · page 3")
    expect(drawer.locator("mark")).to_have_text("Visitors may park in bay seven")
    analyst.keyboard.press("Escape")
    expect(drawer).to_have_count(0)
    expect(first).to_be_focused()


def test_what_no_passage_carries_says_so_in_words(analyst: Page, gateway: FakeGateway) -> None:
    gateway.play(FROM)
    flows.ask(analyst, "Where may visitors park?")
    answer = flows.last_answer(analyst)
    dogs = answer.locator(".prose li").filter(has_text="Dogs sleep upstairs")
    expect(dogs).to_contain_text("7 names no source")
    expect(dogs).to_contain_text("no source")
    safe = answer.locator(".prose li").filter(has_text="The safe opens at nine")
    expect(safe.get_by_role("button")).to_have_count(2)
    expect(safe.get_by_role("button", name="named by the model, does not carry this")).to_have_text("1")
    expect(answer.locator(".sources-note")).to_contain_text("1 statement was not found")
    expect(answer.locator(".prose pre")).to_have_text("[1] stays as it is in code.")
    expect(answer.locator("td").last).to_contain_text("daily")


def test_nothing_of_a_document_is_drawn_as_markup_link_or_image(analyst: Page, gateway: FakeGateway) -> None:
    gateway.play(FROM)
    flows.ask(analyst, "When does the safe open?")
    analyst.locator(".source-list .source").last.click()
    drawer = analyst.get_by_role("dialog")
    expect(drawer.locator(".passage-text")).to_contain_text("<img src=https://outside.example/x>")
    expect(drawer.locator(".passage-text")).to_contain_text("![plan](https://outside.example/plan.png)")
    assert analyst.locator("main img, main a, dialog img, dialog a, dialog b").count() == 0


def test_a_passage_that_is_gone_is_told_and_not_shown(analyst: Page, gateway: FakeGateway) -> None:
    gateway.play(FROM)
    flows.ask(analyst, "Where may visitors park?")
    gateway.shelf.clear()
    analyst.reload()
    answer = flows.last_answer(analyst)
    answer.locator(".sources summary").click()
    expect(answer.locator(".source").first).to_contain_text("No longer there, or no longer open to you")
    answer.locator("button.cite").first.click()
    expect(analyst.get_by_role("dialog")).to_contain_text("is not there any more")
    assert "bay seven" not in analyst.get_by_role("dialog").inner_text()


def test_the_switch_asks_from_documents_and_remembers(analyst: Page, gateway: FakeGateway) -> None:
    flows.ask(analyst, "one")
    analyst.get_by_role("checkbox", name="Answer from documents").check()
    flows.ask(analyst, "two")
    analyst.reload()
    expect(analyst.get_by_role("checkbox", name="Answer from documents")).to_be_checked()
    flows.ask(analyst, "three")
    assert gateway.from_documents == [False, True, True]


def test_an_answer_that_rests_on_nothing_says_why(analyst: Page, gateway: FakeGateway) -> None:
    gateway.play(Script(text="I leave it at that.", passages=()))
    flows.ask(analyst, "What is the weather like?")
    expect(flows.last_answer(analyst).locator(".sources-note")).to_contain_text("does not guess")
