"""The receipt says where an answer comes from, what it cost and what it proves, in words and as JSON."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from playwright.sync_api import expect

from tests.e2e.page import flows
from tests.e2e.page.scripts import MODEL_RECEIPTS

if TYPE_CHECKING:
    from playwright.sync_api import Page

    from tests.e2e.page.fake_gateway import FakeGateway

pytestmark = [pytest.mark.e2e, pytest.mark.network]


def test_every_fact_of_the_receipt_is_shown(analyst: Page) -> None:
    flows.ask(analyst, "What does the rule ask for?")
    receipt = flows.open_receipt(analyst)
    model = MODEL_RECEIPTS["gemma3-270m"]
    for fact in ("name", "digest", "template_digest", "release", "licence", "producer", "jurisdiction"):
        expect(receipt).to_contain_text(model[fact])
    for words in ("release-one and release-two", "99 tokens", "316 ms", "audit.site.example", "2 March 2026"):
        expect(receipt).to_contain_text(words)
    expect(receipt).to_contain_text("declared power, not a measurement.")
    expect(receipt).to_contain_text("It does not prove that the answer is right.")


def test_a_waiver_stands_first_with_reason_officer_and_end(analyst: Page) -> None:
    flows.ask(analyst, "hello")
    expect(flows.last_answer(analyst).locator(".receipt-button")).to_contain_text("under a waiver")
    waiver = flows.open_receipt(analyst).locator(".drawer-body > :first-child")
    for words in (
        "This model runs under a waiver",
        "that the weights come from the producer named and how the weights were converted",
        "trial on public texts only",
        "security-officer",
        "30 June 2027",
    ):
        expect(waiver).to_contain_text(words)


def test_a_model_without_waivers_shows_no_warning(analyst: Page) -> None:
    flows.choose_model(analyst, "apertus-8b")
    flows.ask(analyst, "hello")
    assert flows.open_receipt(analyst).locator(".waiver").count() == 0


def test_the_copied_json_is_the_receipt_that_the_gateway_sent(analyst: Page, gateway: FakeGateway) -> None:
    flows.ask(analyst, "hello")
    flows.open_receipt(analyst)
    copied = flows.receipt_json(analyst)
    (conversation,) = gateway.conversations.values()
    assert copied == conversation["messages"][-1]["receipt"]


def test_the_browser_confirms_a_text_that_was_not_changed(analyst: Page) -> None:
    flows.ask(analyst, "hello")
    flows.open_receipt(analyst)
    assert "letter for letter" in flows.check_receipt(analyst)


def test_the_browser_exposes_a_text_that_was_changed_by_one_letter(analyst: Page, gateway: FakeGateway) -> None:
    gateway.seed("analyst", "Changed")
    (conversation,) = gateway.conversations.values()
    answer = conversation["messages"][-1]
    answer["content"] = answer["content"].replace("five", "nine")
    analyst.reload()
    flows.open_conversation(analyst, "Changed")
    flows.open_receipt(analyst)
    assert "is not the text" in flows.check_receipt(analyst)


def test_a_receipt_with_gaps_shows_what_it_holds_and_claims_no_more(analyst: Page, gateway: FakeGateway) -> None:
    gateway.seed("analyst", "Gaps")
    (conversation,) = gateway.conversations.values()
    receipt = conversation["messages"][-1]["receipt"]
    receipt.update({"timing": None, "energy": None, "usage": None, "commitments": {}})
    analyst.reload()
    flows.open_conversation(analyst, "Gaps")
    drawer = flows.open_receipt(analyst)
    expect(drawer).not_to_contain_text("NaN")
    expect(drawer).not_to_contain_text("undefined")
    assert "cannot be checked here" in flows.check_receipt(analyst)


def test_closing_the_receipt_gives_the_focus_back(analyst: Page) -> None:
    flows.ask(analyst, "hello")
    flows.open_receipt(analyst)
    flows.close_dialog(analyst)
    expect(flows.last_answer(analyst).locator(".receipt-button")).to_be_focused()
