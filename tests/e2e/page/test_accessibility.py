"""WCAG 2.2 AA as far as axe can tell, in every state, both themes and both widths; and what axe cannot tell."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from axe_playwright_python.sync_playwright import Axe  # type: ignore[import-untyped]  # it ships no types
from playwright.sync_api import expect

from tests.e2e.page import flows
from tests.e2e.page.scripts import CITED, HOSTILE, LIMIT, LOG_DOWN, PARKING, SAFE, Script

if TYPE_CHECKING:
    from collections.abc import Callable

    from playwright.sync_api import Page

    from tests.e2e.page.fake_gateway import FakeGateway
    from tests.e2e.page.watching import Watch

pytestmark = [pytest.mark.e2e, pytest.mark.network]

RULES = {"runOnly": ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]}


def _empty(_page: Page, _gateway: FakeGateway) -> None:
    """Right after signing in."""


def _conversation(page: Page, gateway: FakeGateway) -> None:
    gateway.play(Script(), Script(text=HOSTILE))
    flows.ask(page, "What does the rule ask for?")
    flows.ask(page, "and everything else?")


def _streaming(page: Page, gateway: FakeGateway) -> None:
    gateway.play(Script(hold_after=30))
    expect(flows.send(page, "slowly").locator(".prose")).to_contain_text("The rule")


def _receipt(page: Page, _gateway: FakeGateway) -> None:
    flows.ask(page, "hello")
    flows.open_receipt(page)
    flows.check_receipt(page)


def _dialog(page: Page, _gateway: FakeGateway) -> None:
    flows.ask(page, "hello")
    page.locator("#delete").click()


def _renaming(page: Page, _gateway: FakeGateway) -> None:
    flows.ask(page, "hello")
    page.locator("#rename").click()


def _feedback(page: Page, _gateway: FakeGateway) -> None:
    flows.ask(page, "hello")
    flows.last_answer(page).get_by_role("button", name="This answer is not good").click()
    page.locator("form.feedback").wait_for()


def _sending(page: Page, gateway: FakeGateway) -> None:
    gateway.open_to = ["analysts", "pilot"]
    _feedback(page, gateway)
    page.get_by_label("Let the experts of analysts").check()


def _unsent(page: Page, gateway: FakeGateway) -> None:
    gateway.open_to = []
    _feedback(page, gateway)


def _refused(page: Page, gateway: FakeGateway) -> None:
    gateway.play(Script(refused=LOG_DOWN))
    page.locator("#question").fill("hello")
    page.locator("#question").press("Enter")
    page.locator(".notice").wait_for()


def _limited(page: Page, gateway: FakeGateway) -> None:
    gateway.play(Script(refused=LIMIT))
    page.locator("#question").fill("hello")
    page.locator("#question").press("Enter")
    page.locator(".notice").wait_for()


def _menu(page: Page, _gateway: FakeGateway) -> None:
    if not page.locator("#account").is_visible():
        page.locator("#nav-open").click()
    page.locator("#account").click()
    page.locator("#account-menu").wait_for()


def _cited(page: Page, gateway: FakeGateway) -> None:
    gateway.play(Script(text=CITED, passages=(PARKING, SAFE)))
    flows.ask(page, "Where may visitors park?")


def _passage(page: Page, gateway: FakeGateway) -> None:
    _cited(page, gateway)
    page.locator("button.cite").first.click()
    page.locator(".passage-text").wait_for()


def _bringing(page: Page, gateway: FakeGateway) -> None:
    _menu(page, gateway)
    page.locator("#bring-documents").click()
    page.locator("#bring-files").set_input_files({"name": "a.txt", "mimeType": "text/plain", "buffer": b"locked"})
    expect(page.locator(".brought-outcome")).to_contain_text("password")


STATES = (
    *(_empty, _conversation, _streaming, _receipt, _dialog, _renaming, _feedback, _refused, _limited, _menu),
    *(_cited, _passage, _bringing, _sending, _unsent),
)


def _violations(page: Page) -> list[str]:
    found = Axe().run(page, options=RULES).response["violations"]
    return [f"{v['id']}: {n['html'][:120]} {n.get('failureSummary', '')}" for v in found for n in v["nodes"]]


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [1280, 390])
def test_signed_out_page_has_no_violation(page: Page, gateway: FakeGateway, scheme: str, width: int) -> None:
    page.set_viewport_size({"width": width, "height": 800})
    page.emulate_media(color_scheme="dark" if scheme == "dark" else "light")
    flows.open_page(page, gateway.url)
    assert _violations(page) == []


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [1280, 390])
def test_no_state_has_a_violation(page: Page, gateway: FakeGateway, watched: Watch, scheme: str, width: int) -> None:
    page.set_viewport_size({"width": width, "height": 800})
    page.emulate_media(color_scheme="dark" if scheme == "dark" else "light")
    gateway.seed("analyst", "An older one", days_ago=3)
    flows.open_page(page, gateway.url)
    flows.sign_in(page, "analyst", "analyst")
    found = {state.__name__: _in_state(page, gateway, state) for state in STATES}
    assert {name: violations for name, violations in found.items() if violations} == {}
    assert watched.errors == []


def _in_state(page: Page, gateway: FakeGateway, state: Callable[[Page, FakeGateway], None]) -> list[str]:
    page.goto(gateway.url)
    page.locator(flows.READY).wait_for()
    state(page, gateway)
    found = _violations(page)
    if state is _streaming:
        gateway.release()
    return found


def test_targets_are_at_least_24_pixels_each_way(analyst: Page) -> None:
    flows.ask(analyst, "hello")
    small = analyst.evaluate(
        """() => [...document.querySelectorAll("button, a, select, input, textarea")]
             .filter((element) => element.checkVisibility() && !element.classList.contains("skip"))
             .map((element) => [element, element.type === "checkbox" ? element.closest("label") ?? element : element])
             .map(([element, target]) => [element.outerHTML.slice(0, 80), target.getBoundingClientRect()])
             .filter(([, box]) => box.width < 24 || box.height < 24).map(([html]) => html)"""
    )
    assert small == []


@pytest.mark.parametrize("width", [320, 390, 1280])
def test_nothing_needs_scrolling_sideways(page: Page, gateway: FakeGateway, width: int) -> None:
    page.set_viewport_size({"width": width, "height": 700})
    flows.open_page(page, gateway.url)
    flows.sign_in(page, "analyst", "analyst")
    gateway.play(Script(text=HOSTILE))
    flows.ask(page, "x" * 300)
    assert page.evaluate("() => document.documentElement.scrollWidth <= innerWidth")
    assert page.evaluate(
        "() => { const s = document.querySelector('#scroll'); return s.scrollWidth <= s.clientWidth; }"
    )


def test_an_answer_is_announced_once_and_at_its_end(analyst: Page, gateway: FakeGateway) -> None:
    analyst.evaluate(
        """() => { window.heard = []; new MutationObserver(() => {
             const text = document.querySelector("#live").textContent; if (text) window.heard.push(text);
           }).observe(document.querySelector("#live"), { childList: true, characterData: true, subtree: true }); }"""
    )
    gateway.play(Script(hold_after=20))
    answer = flows.send(analyst, "hello")
    expect(answer.locator(".prose")).to_contain_text("three parts")
    expect(analyst.locator("#live")).to_have_text("The model is reading your question …")
    gateway.release()
    expect(analyst.locator("#live")).to_contain_text("Answer: The rule has three parts")
    assert len(analyst.evaluate("() => window.heard")) == 2
    expect(answer).not_to_have_attribute("aria-busy", "true")
    assert analyst.locator("[aria-live=polite] .prose, [role=status] .prose, [role=log] .prose").count() == 0
