"""The auditors' page: what it asks for, what it shows and offers, in every theme and width, and to whom."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING
from urllib.parse import parse_qs, urlsplit

import pytest
from playwright.sync_api import expect

from tests.e2e.page import flows
from tests.e2e.page.audit_api import PAGE, SIZE
from tests.e2e.page.scripts import Refusal
from tests.e2e.page.test_accessibility import _violations

if TYPE_CHECKING:
    from playwright.sync_api import Page

    from tests.e2e.page.fake_gateway import FakeGateway
    from tests.e2e.page.watching import Watch

pytestmark = [pytest.mark.e2e, pytest.mark.network]
ROWS = "#auditor-entries tbody tr"


@pytest.fixture
def auditor(page: Page, gateway: FakeGateway, watched: Watch) -> Page:  # noqa: ARG001 - watched checks at the end
    """The page of an auditor who just came from the menu."""
    return opened(page, gateway, "auditor")


@pytest.fixture
def custodian(page: Page, gateway: FakeGateway, watched: Watch) -> Page:  # noqa: ARG001 - watched checks at the end
    """The page of an auditor who may see names."""
    return opened(page, gateway, "custodian")


def opened(page: Page, gateway: FakeGateway, name: str) -> Page:
    flows.open_page(page, gateway.url)
    flows.sign_in(page, name, name)
    page.locator("#account").click()
    page.locator("#auditor-link").click()
    ready(page)
    return page


def ready(page: Page) -> None:
    expect(page.locator(ROWS)).to_have_count(PAGE)
    expect(page.locator("#auditor-figures figure")).to_have_count(7)


def test_the_latest_of_a_million_entries_come_first_and_a_page_at_a_time(auditor: Page, gateway: FakeGateway) -> None:
    expect(auditor.locator(ROWS).first.locator("td").first).to_have_text("999,999")
    auditor.get_by_role("button", name="Look further back").click()
    expect(auditor.locator(ROWS)).to_have_count(2 * PAGE)
    asked = [parse_qs(urlsplit(one).query) for one in gateway.looked if one.startswith("/api/audit/entries")]
    assert asked == [{}, {"before": [str(SIZE - PAGE)]}]


def test_filters_are_asked_for_and_not_applied_by_the_page(auditor: Page, gateway: FakeGateway) -> None:
    auditor.get_by_label("Kind of entry").fill("refusal")
    auditor.get_by_role("textbox", name="Pseudonym").fill("2".zfill(32))
    auditor.get_by_role("button", name="Show").click()
    expect(auditor.locator(ROWS).first).to_contain_text("quota_exceeded")
    query = parse_qs(urlsplit([one for one in gateway.looked if "entries" in one][-1]).query)
    assert query == {"kind": ["refusal"], "subject": ["2".zfill(32)]}
    auditor.get_by_label("Kind of entry").fill("nothing")
    auditor.get_by_role("button", name="Show").click()
    expect(auditor.locator("#auditor-entries")).to_contain_text("No entry is like that")


def test_somebody_looks_for_a_refusal_and_finds_it(auditor: Page) -> None:
    row = flows.look_for(auditor, kind="refusal", outcome="failure")
    expect(row).to_contain_text("quota_exceeded")
    expect(row.get_by_role("link", name="with its proof")).to_be_visible()


def test_an_entry_shows_whole_as_text_and_its_proof_is_a_download(auditor: Page) -> None:
    row = auditor.locator(ROWS).first
    row.get_by_text("The whole entry").click()
    expect(row.locator("pre")).to_contain_text('"note": "<b>not markup</b>"')
    proof = row.get_by_role("link", name="Entry 999,999 with its proof")
    assert proof.get_attribute("href") == "/api/audit/export?first=999999&last=999999"
    with auditor.expect_download() as download:
        proof.click()
    assert download.value.url.endswith("last=999999")


def test_plots_have_their_numbers_beside_them_and_witnesses_are_named(auditor: Page) -> None:
    figure = auditor.get_by_role("figure", name="Refusals by reason")
    figure.get_by_text("The numbers").click()
    expect(figure.locator("tbody tr").first).to_contain_text("quota_exceeded")
    expect(figure.locator("tbody tr").first).to_contain_text("61")
    expect(auditor.locator("#auditor-state")).to_contain_text("auditor.example/w1 saw 999,000 entries")


def test_how_answers_ended_is_told_with_what_broke_off_first(auditor: Page) -> None:
    figure = auditor.get_by_role("figure", name="How answers ended")
    figure.get_by_text("The numbers").click()
    expect(figure.locator("tbody tr")).to_have_text(
        [
            "stopped by whoever asked (cancelled)352.2%",
            "interrupted by the service (interrupted)90.6%",
            "new_one20.1%",
            "failed at the model (error)1<0.1%",
            "whole (stop)1,45091.6%",
            "cut at the length allowed (length)865.4%",
        ]
    )
    expect(figure.locator("rect.plot-second")).to_have_count(4)
    auditor.locator("#auditor-language").select_option("de")
    expect(auditor.get_by_role("figure", name="Wie Antworten endeten")).to_contain_text("vom Dienst unterbrochen")


def test_failed_sign_ins_are_told_by_day_and_by_user(auditor: Page) -> None:
    days = auditor.get_by_role("figure", name="Sign-ins by day")
    days.get_by_text("The numbers").click()
    expect(days.locator("tbody tr").nth(19)).to_have_text("2026-11-20982")
    users = auditor.get_by_role("figure", name="Users whose sign-ins failed most").locator("tbody tr")
    expect(users).to_have_text(["000000000000734", "unknown170"])


def test_who_used_which_model_is_one_table(auditor: Page) -> None:
    rows = auditor.get_by_role("figure", name="by model").locator("tbody tr")
    expect(rows).to_have_count(2)
    expect(rows.first).to_contain_text("000000000000small1,412")
    expect(rows.nth(1)).to_contain_text("large-with-a-long-name-q4")


def test_the_page_speaks_every_language(auditor: Page) -> None:
    for code, title in (
        ("fr", "Le journal d\N{RIGHT SINGLE QUOTATION MARK}audit"),
        ("de", "Das Prüfprotokoll"),
        ("en", "The audit log"),
    ):
        auditor.locator("#auditor-language").select_option(code)
        expect(auditor.locator("h1")).to_have_text(title)
        expect(auditor.locator(ROWS)).to_have_count(PAGE)


def test_names_are_shown_while_the_switch_is_on_and_asked_for_once_each(custodian: Page, gateway: FakeGateway) -> None:
    expect(custodian.locator(ROWS).filter(has_text="clerk-")).to_have_count(0)
    assert not any("names" in one for one in gateway.looked)
    switch = custodian.get_by_label("Show whom pseudonyms stand for")
    switch.check()
    expect(custodian.locator(ROWS).filter(has_text="clerk-1").first).to_be_visible()
    expect(custodian.locator(ROWS).filter(has_text="erased: no account any more").first).to_be_visible()
    custodian.get_by_role("button", name="Look further back").click()
    expect(custodian.locator(ROWS)).to_have_count(2 * PAGE)
    asked = [one for one in gateway.looked if one.startswith("/api/audit/names")]
    assert len(asked) == 1, "seven people, and no page tells more of them"
    assert len(parse_qs(urlsplit(asked[0]).query)["subjects"][0].split(",")) == 7
    switch.uncheck()
    expect(custodian.locator(ROWS).filter(has_text="clerk-")).to_have_count(0)
    expect(custodian.locator(ROWS)).to_have_count(2 * PAGE)
    assert len([one for one in gateway.looked if one.startswith("/api/audit/names")]) == 1


def test_when_names_cannot_be_asked_the_page_says_so_and_stays_with_pseudonyms(custodian: Page) -> None:
    down = Refusal(503, "identity_unavailable", "keycloak does not answer", retry_after=5)
    custodian.route(
        "**/api/audit/names*",
        lambda route: route.fulfill(
            status=down.status, content_type="application/problem+json", body=json.dumps(down.body())
        ),
    )
    switch = custodian.get_by_label("Show whom pseudonyms stand for")
    switch.check()
    expect(custodian.locator("#auditor-problem")).to_contain_text("the sign-in service does not answer")
    expect(custodian.locator(ROWS)).to_have_count(PAGE)
    expect(custodian.locator(ROWS).filter(has_text="erased")).to_have_count(0)
    switch.uncheck()
    expect(custodian.locator("#auditor-problem")).to_be_hidden()


def test_a_plain_auditor_has_no_such_switch(auditor: Page, gateway: FakeGateway) -> None:
    expect(auditor.locator("#auditor-names")).to_be_hidden()
    assert not any("names" in one for one in gateway.looked)


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [1280, 390])
def test_with_names_it_has_no_violation_and_fits(custodian: Page, scheme: str, width: int) -> None:
    custodian.set_viewport_size({"width": width, "height": 800})
    custodian.emulate_media(color_scheme="dark" if scheme == "dark" else "light")
    custodian.get_by_label("Show whom pseudonyms stand for").check()
    expect(custodian.locator(ROWS).filter(has_text="clerk-1").first).to_be_visible()
    assert _violations(custodian) == []
    assert custodian.evaluate("document.documentElement.scrollWidth <= document.documentElement.clientWidth")


def test_who_is_no_auditor_sees_no_way_there_and_nothing_there(page: Page, gateway: FakeGateway) -> None:
    flows.open_page(page, gateway.url)
    flows.sign_in(page, "analyst", "analyst")
    page.locator("#account").click()
    expect(page.locator("#auditor-link")).to_be_hidden()
    page.goto(f"{gateway.url}/auditor")
    expect(page.locator("#auditor-problem")).to_contain_text("you are not one at this site")
    expect(page.locator("#auditor-parts")).to_be_hidden()


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [1280, 390])
def test_it_has_no_violation_and_fits(auditor: Page, scheme: str, width: int) -> None:
    auditor.set_viewport_size({"width": width, "height": 800})
    auditor.emulate_media(color_scheme="dark" if scheme == "dark" else "light")
    auditor.locator(ROWS).first.get_by_text("The whole entry").click()
    assert _violations(auditor) == []
    assert auditor.evaluate("document.documentElement.scrollWidth <= document.documentElement.clientWidth")
