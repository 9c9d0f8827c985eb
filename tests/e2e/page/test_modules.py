"""The page's pure modules, run where they run: in the browser, imported from the gateway."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from appliance.audit.commitment import commit

if TYPE_CHECKING:
    from playwright.sync_api import Page

    from tests.e2e.page.fake_gateway import FakeGateway

pytestmark = [pytest.mark.e2e, pytest.mark.network]

FEED = """async (chunks) => {
  const { EventParser } = await import("/static/js/sse.js");
  const parser = new EventParser();
  return chunks.flatMap((chunk) => parser.feed(chunk));
}"""
PARSE = """async (text) => (await import("/static/js/markdown.js")).parse(text)"""
SPANS = """async (text) => (await import("/static/js/spans.js")).spansOf(text)"""
SHOW = """async ([text, step]) => {
  const { Prose } = await import("/static/js/prose.js");
  const grown = new Prose();
  const units = [...text];
  for (let end = 0; end < units.length; end += step) grown.show(units.slice(0, end).join(""));
  grown.show(text);
  const whole = new Prose();
  whole.show(text);
  return [grown.element.outerHTML, whole.element.outerHTML, whole.element.textContent];
}"""
COMMIT = """async ([text, salt]) => {
  const { commit } = await import("/static/js/commitment.js");
  return commit(new TextEncoder().encode(text), new Uint8Array(salt));
}"""


@pytest.fixture
def blank(page: Page, gateway: FakeGateway) -> Page:
    """A page of the gateway's origin."""
    page.goto(gateway.url)
    page.locator("#sign-in").wait_for()
    return page


STREAM = (
    "\ufeff: hello\r\nevent: token\r\ndata: a\r\n\r\ndata: one\ndata: two\nid: 7\n\n"
    "event: x\n\ndata:  spaced\r\rdata: unfinished"
)
EVENTS = [
    {"event": "token", "data": "a"},
    {"event": "message", "data": "one\ntwo"},
    {"event": "message", "data": " spaced"},
]


def test_events_are_read_as_the_standard_says(blank: Page) -> None:
    assert blank.evaluate(FEED, [STREAM]) == EVENTS


def test_events_are_the_same_wherever_the_chunks_break(blank: Page) -> None:
    for size in (1, 2, 3, 5, 7):
        assert blank.evaluate(FEED, [STREAM[at : at + size] for at in range(0, len(STREAM), size)]) == EVENTS


def test_an_event_that_was_not_finished_is_never_given_out(blank: Page) -> None:
    assert blank.evaluate(FEED, ["event: done\ndata: {}\n"]) == []


BLOCKS: dict[str, list[dict[str, Any]]] = {
    "# Title #\ntext": [{"kind": "heading", "level": 1, "text": "Title"}, {"kind": "paragraph", "text": "text"}],
    "```py\na\n\n# b\n```\nend": [
        {"kind": "code", "language": "py", "text": "a\n\n# b"},
        {"kind": "paragraph", "text": "end"},
    ],
    "~~~\nnever closed": [{"kind": "code", "language": "", "text": "never closed"}],
    "one\n\n---\n\ntwo": [
        {"kind": "paragraph", "text": "one"},
        {"kind": "rule"},
        {"kind": "paragraph", "text": "two"},
    ],
    "| a | b |\n|---|:-:|\n| 1 |": [{"kind": "table", "head": ["a", "b"], "rows": [["1", ""]]}],
    "a | b, just text": [{"kind": "paragraph", "text": "a | b, just text"}],
    "<div>\n<script>x</script>": [{"kind": "paragraph", "text": "<div>\n<script>x</script>"}],
}


@pytest.mark.parametrize("text", BLOCKS)
def test_blocks_are_recognised(blank: Page, text: str) -> None:
    found = blank.evaluate(PARSE, text)
    assert [{name: value for name, value in block.items() if name != "raw"} for block in found] == BLOCKS[text]


def test_lists_nest_and_keep_their_numbers(blank: Page) -> None:
    (found,) = blank.evaluate(PARSE, "3. three\n   - inner\n   - other\n\n4. four\n   goes on")
    assert (found["kind"], found["ordered"], found["start"]) == ("list", True, 3)
    first, second = found["items"]
    assert [block["kind"] for block in first] == ["paragraph", "list"]
    assert len(first[1]["items"]) == 2
    assert second[0]["text"] == "four\ngoes on"


SPAN_CASES: dict[str, list[dict[str, Any]]] = {
    "snake_case_name": [{"kind": "text", "text": "snake_case_name"}],
    "2 * 3 * 4": [{"kind": "text", "text": "2 * 3 * 4"}],
    r"\*no\*": [{"kind": "text", "text": "*"}, {"kind": "text", "text": "no"}, {"kind": "text", "text": "*"}],
    "**b *i* b**": [
        {
            "kind": "strong",
            "spans": [
                {"kind": "text", "text": "b "},
                {"kind": "em", "spans": [{"kind": "text", "text": "i"}]},
                {"kind": "text", "text": " b"},
            ],
        }
    ],
    "``a`b``": [{"kind": "code", "text": "a`b"}],
    "[t](/x) ![i](/y)": [
        {"kind": "address", "text": "t", "address": "/x"},
        {"kind": "text", "text": " "},
        {"kind": "address", "text": "i", "address": "/y"},
    ],
    "**open": [{"kind": "text", "text": "**"}, {"kind": "text", "text": "open"}],
}


@pytest.mark.parametrize("text", SPAN_CASES)
def test_spans_are_recognised(blank: Page, text: str) -> None:
    assert blank.evaluate(SPANS, text) == SPAN_CASES[text]


PIECES = ("*", "**", "_", "`", "```\n", "|", "|-|-|\n", "[", "](", ")", "a", "é😀", "\\", "<b>")
MARKDOWN = st.lists(
    st.sampled_from([*PIECES, "- ", "1. ", "> ", "# ", " ", "\n", "\n\n"]),
    max_size=40,
).map("".join)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(text=MARKDOWN)
def test_a_text_that_grew_looks_like_the_same_text_at_once(blank: Page, text: str) -> None:
    grown, whole, content = blank.evaluate(SHOW, [text, 3])
    assert grown == whole
    assert content.count("a") >= text.count("a")
    assert "<b>" not in whole.replace("&lt;b&gt;", "")


HEAVY = {
    "stars": "*a " * 16_000,
    "brackets": "[" * 49_000,
    "ticks": "` `` " * 9_000,
    "quotes": "> " * 50_000,
    "items": "- a\n" * 20_000,
    "pipes": "a|b\n" * 20_000,
}


@pytest.mark.parametrize("name", HEAVY)
def test_a_hostile_text_is_parsed_and_loses_nothing(blank: Page, name: str) -> None:
    size = blank.evaluate(
        """async (text) => {
          const { parse } = await import("/static/js/markdown.js");
          const { spansOf } = await import("/static/js/spans.js");
          return parse(text).reduce((sum, block) => sum + block.raw.length, 0) + 0 * spansOf(text).length;
        }""",
        HEAVY[name],
    )
    assert size >= len(HEAVY[name].rstrip()) - 1


@pytest.mark.parametrize("text", ["", "plain", "Grüße, 你好 😀\n"])
def test_the_browser_computes_the_same_commitment_as_the_log(blank: Page, text: str) -> None:
    salt = bytes(range(32))
    assert blank.evaluate(COMMIT, [text, list(salt)]) == commit(text.encode(), salt)
