"""Every page's head begins alike: what a browser needs before anything else, and nothing from anywhere else."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

STATIC = Path(__file__).parents[3] / "appliance" / "gateway" / "static"
PAGES = sorted(STATIC.glob("*.html"))
COMMON = (
    '<meta charset="utf-8">',
    '<meta name="viewport" content="width=device-width, initial-scale=1',
    '<meta name="color-scheme" content="light dark">',
    '<meta name="referrer" content="no-referrer">',
    "<title>sovereign</title>",
    '<link rel="icon" href="/static/favicon.svg" type="image/svg+xml">',
    '<link rel="stylesheet" href="/static/css/tokens.css">',
    '<link rel="stylesheet" href="/static/css/base.css">',
    '<link rel="stylesheet" href="/static/css/controls.css">',
)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_a_page_begins_as_every_page_does(page: Path) -> None:
    head = page.read_text().split("<head>")[1].split("</head>")[0]
    lines = [line.strip() for line in head.strip().splitlines()]
    assert all(line.startswith(common) for line, common in zip(lines, COMMON, strict=False)), lines[: len(COMMON)]
    assert len(lines) > len(COMMON)
    assert '<script src="/static/js/theme-early.js"></script>' in lines


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_what_a_head_names_is_this_servers_and_there(page: Path) -> None:
    head = page.read_text().split("<head>")[1].split("</head>")[0]
    named = re.findall(r'(?:href|src)="([^"]*)"', head)
    assert named
    for address in named:
        assert address.startswith("/static/"), address
        assert (STATIC / address.removeprefix("/static/")).is_file(), address
