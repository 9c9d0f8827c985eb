"""The reference page says what the schema says."""

from __future__ import annotations

from pathlib import Path

from appliance.site.config import SiteConfig
from appliance.site.reference import render

PAGE = Path(__file__).parents[3] / "docs" / "reference" / "site.md"


def test_the_reference_page_is_current() -> None:
    assert PAGE.read_text() == render(), "write it anew: python -m appliance.site.reference > docs/reference/site.md"


def test_every_top_level_field_is_described() -> None:
    page = render()
    assert all(f"| `{field.alias or name}` |" in page for name, field in SiteConfig.model_fields.items())
