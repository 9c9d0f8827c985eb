"""Reference pages are what the code says today."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from docs import generate

if TYPE_CHECKING:
    from collections.abc import Callable


@pytest.mark.parametrize(("name", "page"), generate.PAGES.items())
def test_a_reference_page_is_current(name: str, page: Callable[[], str]) -> None:
    assert (generate.REFERENCE / name).read_text() == page(), "run `make docs`"
