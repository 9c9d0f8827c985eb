"""The page's words: three catalogues with the same keys, all used, all complete."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

STATIC = Path(__file__).parents[3] / "appliance/gateway/static"
LANGUAGES = ("en", "fr", "de")
CATALOGUES = {code: json.loads((STATIC / f"catalogs/{code}.json").read_text("utf-8")) for code in LANGUAGES}
SAME = {
    "fr": {"nav.label", "receipt.model.licence", "memory.unit.joules"},
    "de": {"receipt.model.name", "receipt.adapter", "code.plain", "code.label"},
}
"""Messages that are the same in English and there."""
SCRIPTS = sorted((STATIC / "js").glob("*.js"))
_CALL = re.compile(r'\bt\(\s*"([^"]+)"')
_PLURAL = re.compile(r'\btn\(\s*"([^"]+)"')
_MARKUP = re.compile(r'data-i18n(?:-label|-placeholder)?="([^"]+)"')
_NAME = re.compile(r"\{(\w+)\}")


def used_keys() -> set[str]:
    """Keys that scripts and pages name; the page names keys by literals only."""
    code = "\n".join(path.read_text("utf-8") for path in SCRIPTS)
    plurals = {f"{key}.{form}" for key in _PLURAL.findall(code) for form in ("one", "other")}
    pages = "\n".join(path.read_text("utf-8") for path in sorted(STATIC.glob("*.html")))
    return set(_CALL.findall(code)) | plurals | set(_MARKUP.findall(pages))


@pytest.mark.parametrize("code", LANGUAGES)
def test_every_catalogue_has_the_same_keys_in_the_same_order(code: str) -> None:
    assert list(CATALOGUES[code]) == list(CATALOGUES["en"])


def test_every_message_that_the_page_uses_exists() -> None:
    assert used_keys() - set(CATALOGUES["en"]) == set()


def test_every_message_that_exists_is_used() -> None:
    assert set(CATALOGUES["en"]) - used_keys() == set()


@pytest.mark.parametrize("code", LANGUAGES)
def test_every_message_has_words_and_the_placeholders_of_the_english_one(code: str) -> None:
    for key, message in CATALOGUES[code].items():
        assert message.strip() == message != "", key
        assert sorted(_NAME.findall(message)) == sorted(_NAME.findall(CATALOGUES["en"][key])), key


@pytest.mark.parametrize("code", ["fr", "de"])
def test_nothing_was_left_in_english(code: str) -> None:
    same = {key for key, message in CATALOGUES[code].items() if message == CATALOGUES["en"][key]}
    same -= SAME[code]
    assert same == set()


def test_message_keys_are_never_put_together_at_run_time() -> None:
    for path in SCRIPTS:
        code = re.sub(r"^export function tn[\s\S]*?^}", "", path.read_text("utf-8"), flags=re.MULTILINE)
        assert not re.search(r"\btn?\(\s*(`|\"[^\"]*\"\s*\+)", code), path.name
