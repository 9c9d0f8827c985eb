"""What the page is made of keeps its own content policy: nothing inline, nothing from elsewhere, nothing parsed."""

from __future__ import annotations

import re
from html.parser import HTMLParser
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest

ROOT = Path(__file__).parents[3]
STATIC = ROOT / "appliance/gateway/static"
THEME = ROOT / "appliance/identity/theme/sovereign/login"
FILES = sorted(path for folder in (STATIC, THEME) for path in folder.rglob("*") if path.is_file())
SCRIPTS = sorted((STATIC / "js").glob("*.js"))
PAGES = sorted(STATIC.glob("*.html"))
ROUTES = {"/", "/auditor", "/expert", "/memory", "/brief"}
STYLES = [path for path in FILES if path.suffix == ".css"]
_NAMESPACE = "http://www.w3.org/2000/svg"
_ADDRESS = re.compile(r"(?:https?:)?//[a-z0-9-]+\.[a-z0-9.-]+", re.IGNORECASE)
_PARSERS = ("innerHTML", "outerHTML", "insertAdjacentHTML", "document.write", "DOMParser", "eval(", "new Function")


class _Markup(HTMLParser):
    """Collects what a page loads and what it must not contain."""

    def __init__(self) -> None:
        super().__init__()
        self.inline: list[str] = []
        self.addresses: list[str] = []
        self.ids: list[str] = []
        self._in_script = False

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        found = dict(attrs)
        self.inline += [name for name in found if name == "style" or name.startswith("on")]
        self.inline += [tag] if tag == "style" else []
        self.addresses += [value for name, value in attrs if name in {"href", "src", "action"} and value]
        self.ids += [value for name, value in attrs if name == "id" and value]
        self._in_script = tag == "script"

    def handle_data(self, data: str) -> None:
        if self._in_script and data.strip():
            self.inline.append(data)

    def handle_endtag(self, tag: str) -> None:
        self._in_script = self._in_script and tag != "script"


@pytest.fixture(params=PAGES, ids=lambda path: path.name)
def markup(request: pytest.FixtureRequest) -> _Markup:
    parsed = _Markup()
    parsed.feed(request.param.read_text("utf-8"))
    return parsed


def test_the_page_has_no_inline_script_style_or_handler(markup: _Markup) -> None:
    assert markup.inline == []


def test_everything_the_page_loads_is_a_file_of_this_folder(markup: _Markup) -> None:
    local = [a.split("#")[0] for a in markup.addresses if not a.startswith("#") and a not in ROUTES]
    assert local
    for address in local:
        assert address.startswith("/static/")
        assert (STATIC / address.removeprefix("/static/")).is_file(), address


def test_ids_are_unique(markup: _Markup) -> None:
    assert len(markup.ids) == len(set(markup.ids))


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_no_file_names_an_address_elsewhere(path: Path) -> None:
    text = path.read_text("utf-8").replace(_NAMESPACE, "")
    assert _ADDRESS.findall(text) == []


@pytest.mark.parametrize("path", SCRIPTS, ids=lambda path: path.name)
def test_no_script_parses_markup_or_talks_to_the_console(path: Path) -> None:
    text = path.read_text("utf-8")
    assert [word for word in (*_PARSERS, "console.", ".style.", "cssText") if word in text] == []


@pytest.mark.parametrize("path", SCRIPTS, ids=lambda path: path.name)
def test_every_import_is_a_module_beside_it(path: Path) -> None:
    for name in re.findall(r'from "([^"]+)"', path.read_text("utf-8")):
        assert name.startswith("./"), name
        assert (path.parent / name).is_file(), name


@pytest.mark.parametrize("path", SCRIPTS, ids=lambda path: path.name)
def test_every_script_is_one_subject_of_a_readable_size(path: Path) -> None:
    lines = path.read_text("utf-8").splitlines()
    assert len(lines) <= 250
    assert max(map(len, lines)) <= 160
    assert lines[0].startswith("/**")


def test_every_icon_that_is_used_is_in_the_sprite() -> None:
    code = "\n".join(path.read_text("utf-8") for path in [*SCRIPTS, *PAGES])
    used = set(re.findall(r"icons\.svg#([a-z-]+)", code))
    used |= set(re.findall(r'\b(?:icon|iconButton|fact|button)\("([a-z-]+)",', code))
    used |= set(re.findall(r'\bicon\("([a-z-]+)"', code))
    sprite = ET.parse(STATIC / "icons.svg")
    known = {symbol.get("id") for symbol in sprite.getroot()}
    assert used - known == set()
    assert known - used == set()


def test_every_class_that_a_style_names_is_given_to_an_element() -> None:
    code = "\n".join(path.read_text("utf-8") for path in [*SCRIPTS, *PAGES])
    given = set(re.findall(r"[\w-]+", " ".join(re.findall(r'"([^"\n]*)"', code))))
    styles = "\n".join(path.read_text("utf-8") for path in (STATIC / "css").glob("*.css"))
    named = set(re.findall(r"\.([a-z][\w-]*)(?=[^{};]*\{)", re.sub(r"/\*[\s\S]*?\*/", "", styles)))
    assert named - given == set()


def test_sign_in_has_the_colours_of_the_page() -> None:
    tokens = (STATIC / "css/tokens.css").read_text("utf-8")
    pairs = re.findall(r"--([\w-]+): light-dark\((#\w+), (#\w+)\);", tokens)
    wanted = {name: (light, dark) for name, light, dark in pairs}
    light, dark = (THEME / "resources/css/sovereign.css").read_text("utf-8").split(":root.pf-v5-theme-dark", 1)
    for name, (in_light, in_dark) in wanted.items():
        for part, value in ((light, in_light), (dark.split("}", 1)[0], in_dark)):
            stated = re.search(rf"--{name}: (#\w+);", part)
            if stated and name != "paper":
                assert stated[1] == value, name
