"""The page of memories: tiers from warm to cold, what they spared, in every language, theme and width, and to whom."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from playwright.sync_api import expect

from tests.e2e.page import flows
from tests.e2e.page.test_accessibility import _violations

if TYPE_CHECKING:
    from playwright.sync_api import Locator, Page

    from tests.e2e.page.fake_gateway import FakeGateway
    from tests.e2e.page.watching import Watch

pytestmark = [pytest.mark.e2e, pytest.mark.network]
ENGINES = "#memory-engines section"
DASH = "\N{EN DASH}"


@pytest.fixture
def builder(page: Page, gateway: FakeGateway, watched: Watch) -> Page:  # noqa: ARG001 - watched checks at the end
    """The page of somebody who administers the site, and just came from the menu."""
    flows.open_page(page, gateway.url)
    flows.sign_in(page, "builder", "builder")
    page.locator("#account").click()
    page.locator("#memory-link").click()
    ready(page)
    return page


def ready(page: Page) -> None:
    expect(page.locator(ENGINES)).to_have_count(3)
    expect(page.locator("#memory-plots figure")).to_have_count(3)


def cells(row: Locator) -> list[str]:
    return row.locator("th, td").all_inner_texts()


def test_tiers_stand_from_warm_to_cold_and_scopes_apart(builder: Page) -> None:
    rows = builder.locator(ENGINES).first.locator("tbody tr")
    expect(rows).to_have_count(8)
    told = [cells(row)[:2] for row in rows.all()]
    assert told == [
        ["Pinned in memory", "Site"],
        ["Pinned in memory", "Group <b>clerks</b>"],
        ["Pinned in memory", "Group analysts"],
        ["Parked in memory", "Users, in sum"],
        ["At work", "Users, in sum"],
        ["On disk", "Site"],
        ["On disk", "Group analysts"],
        ["On disk", "Groups that the site no longer has"],
    ]
    assert cells(rows.nth(2))[2:] == ["1", "640", "22.5\N{NO-BREAK SPACE}MiB", "23 hours", "640", "409,600", "12,288"]
    assert cells(rows.nth(7))[5] == "3 days to 10 days"


def test_an_engine_that_is_stopped_or_says_nonsense_is_not_zero(builder: Page) -> None:
    stopped, nonsense = builder.locator(ENGINES).nth(1), builder.locator(ENGINES).nth(2)
    expect(stopped).to_contain_text("The engine is not running")
    assert cells(stopped.locator("tbody tr").first)[2:] == [DASH, DASH, DASH, DASH, "3", "900", DASH]
    expect(nonsense).to_contain_text("not known: it counts what cannot be")
    expect(nonsense.locator("table")).to_have_count(0)


def test_plots_have_their_numbers_beside_them(builder: Page) -> None:
    figure = builder.locator("#memory-plots figure").first
    expect(figure).to_contain_text("Tokens that were not computed again")
    figure.get_by_text("The numbers").click()
    first = figure.locator("tbody tr").first
    assert cells(first) == ["Pinned in memory", "341,040", "440,560", DASH, DASH]
    assert figure.locator("rect.memory-group").count() == 2
    expect(builder.locator("#memory-since")).to_contain_text("25 November 2026")


def test_the_library_stands_below_and_says_what_was_used(builder: Page) -> None:
    library = builder.locator("#memory-library")
    expect(library).to_contain_text("1,530")
    assert cells(library.locator("tbody tr").first)[:3] == ["Passages", "Group <b>clerks</b>", "990"]
    expect(library).to_contain_text("Several groups")


def test_another_look_is_asked_for_and_said(builder: Page, gateway: FakeGateway) -> None:
    before = gateway.looked.count("/api/memory")
    builder.get_by_role("button", name="Look again").click()
    expect(builder.locator("#live")).to_have_text("The figures are new")
    assert gateway.looked.count("/api/memory") == before + 1


@pytest.mark.parametrize("status", [401, 403, 503])
def test_figures_go_when_the_role_has_gone_and_stay_when_the_log_is_down(builder: Page, status: int) -> None:
    problem = f'{{"code": "x", "title": "x", "detail": "x", "status": {status}}}'
    builder.route(
        "**/api/memory",
        lambda route: route.fulfill(status=status, content_type="application/problem+json", body=problem),
    )
    builder.get_by_role("button", name="Look again").click()
    expect(builder.locator("#memory-problem")).to_be_visible()
    expect(builder.locator("#memory-parts")).to_be_visible(visible=status == 503)


def test_the_page_speaks_every_language(builder: Page) -> None:
    for code, title, tier in (
        ("fr", "Ce que le site garde en mémoire", "Fixé en mémoire"),
        ("de", "Was der Standort behält", "Im Speicher fest"),
        ("en", "What the site remembers", "Pinned in memory"),
    ):
        builder.locator("#memory-language").select_option(code)
        expect(builder.locator("h1")).to_have_text(title)
        expect(builder.locator(ENGINES).first.locator("tbody th").first).to_have_text(tier)


def test_who_does_not_administer_sees_no_way_there_and_nothing_there(page: Page, gateway: FakeGateway) -> None:
    flows.open_page(page, gateway.url)
    flows.sign_in(page, "analyst", "analyst")
    page.locator("#account").click()
    expect(page.locator("#memory-link")).to_be_hidden()
    page.goto(f"{gateway.url}/memory")
    expect(page.locator("#memory-problem")).to_contain_text("you are not one of them")
    expect(page.locator("#memory-parts")).to_be_hidden()


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [1280, 390])
def test_it_has_no_violation_and_fits(builder: Page, scheme: str, width: int) -> None:
    builder.set_viewport_size({"width": width, "height": 800})
    builder.emulate_media(color_scheme="dark" if scheme == "dark" else "light")
    builder.locator("#memory-plots figure").first.get_by_text("The numbers").click()
    assert _violations(builder) == []
    assert builder.evaluate("document.documentElement.scrollWidth <= document.documentElement.clientWidth")
