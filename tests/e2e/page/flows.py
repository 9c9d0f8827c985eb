"""What a person does with the page, as functions: the same against the fake gateway and against an installed site.

They wait for what a person would see, never for a time. Labels are those of the English catalogue: ``open_page``
starts in English.
"""

from __future__ import annotations

import json
import time
from typing import TYPE_CHECKING

from playwright.sync_api import TimeoutError as NotYetError
from playwright.sync_api import expect

if TYPE_CHECKING:
    from playwright.sync_api import Locator, Page

READY = "#shell:not([hidden])"
ANSWER = ".turn-answer"


def open_page(page: Page, url: str, *, language: str = "en") -> None:
    """Open the gateway's page signed out, in ``language``."""
    page.add_init_script(
        f"localStorage.getItem('sovereign.language') ?? localStorage.setItem('sovereign.language', '{language}')"
    )
    page.goto(url)
    page.locator("#sign-in").wait_for()


def sign_in(page: Page, user: str, password: str) -> None:
    """From the signed-out page through Keycloak's form to the conversations."""
    page.locator("#sign-in").click()
    fill_sign_in_form(page, user, password)
    page.locator(READY).wait_for()


def fill_sign_in_form(page: Page, user: str, password: str) -> None:
    """Keycloak's form alone, for whoever stands there already."""
    page.locator("#username").fill(user)
    page.locator("#password").fill(password)
    page.locator("#kc-login").click()


def sign_out(page: Page) -> None:
    """By the account menu, back to the signed-out page."""
    page.locator("#account").click()
    page.locator("#sign-out").click()
    page.locator("#sign-in").wait_for()


def send(page: Page, text: str) -> Locator:
    """Send a question and give the answer that begins to be written."""
    before = page.locator(ANSWER).count()
    page.locator("#question").fill(text)
    page.locator("#question").press("Enter")
    answer = page.locator(ANSWER).nth(before)
    answer.wait_for()
    return answer


def ask(page: Page, text: str, *, timeout_ms: float = 120_000) -> str:
    """Ask, wait for the whole answer with its receipt, and give its text."""
    answer = send(page, text)
    answer.locator(".receipt-button").wait_for(timeout=timeout_ms)
    return answer_text(answer)


def answer_text(answer: Locator) -> str:
    """The answer as it is shown."""
    return answer.locator(".prose").inner_text()


def last_answer(page: Page) -> Locator:
    """The newest answer of the open conversation."""
    return page.locator(ANSWER).last


def look_for(page: Page, *, kind: str, outcome: str, within_seconds: float = 30) -> Locator:
    """On the auditors' page: the latest entry that is so, asked for until there is one."""
    rows = page.locator("#auditor-entries tbody tr").filter(has_text=kind).filter(has_text=outcome)
    deadline = time.monotonic() + within_seconds
    while True:
        page.get_by_label("Kind of entry").fill(kind)
        page.get_by_label("Outcome").fill(outcome)
        with page.expect_response(lambda answer: "/api/audit/entries" in answer.url):
            page.get_by_role("button", name="Show").click()
        try:
            rows.first.wait_for(timeout=1000)
        except NotYetError:
            assert time.monotonic() < deadline, f"no entry of kind {kind} with outcome {outcome}"
        else:
            return rows.first


def stop(page: Page) -> None:
    """Stop the answer that is being written; wait until the page says that it was stopped."""
    page.locator("#stop").click()
    expect(last_answer(page).locator(".answer-note")).to_be_visible()


def retry(page: Page, *, timeout_ms: float = 120_000) -> str:
    """Have the last question answered again, and give the new answer."""
    old = last_answer(page).element_handle()
    last_answer(page).get_by_role("button", name="Answer again").click()
    if old is not None:
        old.wait_for_element_state("hidden")
    last_answer(page).locator(".receipt-button").wait_for(timeout=timeout_ms)
    return answer_text(last_answer(page))


def choose_model(page: Page, model: str) -> None:
    """For the next new conversation. A single model needs no choice."""
    page.locator("#model-pick select").select_option(model)


def open_receipt(page: Page) -> Locator:
    """The receipt of the last answer, opened."""
    last_answer(page).locator(".receipt-button").click()
    drawer = page.locator("dialog.drawer[open]")
    drawer.wait_for()
    return drawer


def receipt_json(page: Page) -> dict[str, object]:
    """What "Copy as JSON" copies, with the receipt open. The context needs the clipboard permissions."""
    page.locator("dialog.drawer").get_by_role("button", name="Copy as JSON").click()
    expect(page.locator("#live")).to_have_text("Copied.")
    found: dict[str, object] = json.loads(page.evaluate("() => navigator.clipboard.readText()"))
    return found


def check_receipt(page: Page) -> str:
    """Recompute the commitment in the browser, with the receipt open; gives the page's words."""
    page.locator("dialog.drawer").get_by_role("button", name="Check the text").click()
    result = page.locator(".check-result")
    expect(result).not_to_be_empty()
    return result.inner_text()


def close_dialog(page: Page) -> None:
    """By Esc, as a keyboard user would."""
    page.keyboard.press("Escape")
    expect(page.locator("dialog[open]")).to_have_count(0)


def mark(page: Page, *, good: bool, reason: str = "") -> None:
    """Thumb up or down on the last answer, with a reason if there is one."""
    name = "This answer is good" if good else "This answer is not good"
    answer = last_answer(page)
    answer.get_by_role("button", name=name).click()
    form = answer.locator(".feedback")
    if reason:
        form.locator("textarea").first.fill(reason)
        form.get_by_role("button", name="Keep this").click()
    else:
        form.get_by_role("button", name="Close").click()
    expect(form).to_have_count(0)


def rename(page: Page, title: str) -> None:
    """Change the title of the open conversation in place."""
    page.locator("#rename").click()
    page.locator("#title-field").fill(title)
    page.locator("#title-field").press("Enter")
    expect(page.locator("#conversation-name")).to_have_text(title)


def delete(page: Page) -> None:
    """Delete the open conversation, and confirm."""
    page.locator("#delete").click()
    page.locator("dialog[open] .button-danger").click()
    expect(page.locator("dialog[open]")).to_have_count(0)
    expect(page.locator("#delete")).to_have_count(0)


def expect_titles(page: Page, *titles: str) -> None:
    """The list comes to show exactly these conversations, in this order."""
    expect(page.locator(".conversation-link")).to_have_text(list(titles))


def open_conversation(page: Page, title: str) -> None:
    """Open a conversation of the list by its title."""
    page.locator(".conversation-link", has_text=title).first.click()
    expect(page.locator("#conversation-name")).to_have_text(title)


def search(page: Page, words: str) -> None:
    """Narrow the list to titles with ``words``."""
    page.locator("#search").fill(words)


def speak(page: Page, language: str) -> None:
    """Change the language in the account menu; the menu stays open."""
    page.locator("#account").click()
    page.locator("#account-language").select_option(language)
    expect(page.locator("html")).to_have_attribute("lang", language)


def use_theme(page: Page, theme: str) -> None:
    """``auto``, ``light`` or ``dark``, in the account menu."""
    page.locator("#account").click()
    page.locator("#account-theme").select_option(theme)
    page.keyboard.press("Escape")
