"""What `sovereign document search` has meaning count: as for whoever would be answered."""

from __future__ import annotations

import pytest

from appliance.cli.document_open import meaning_for
from tests.gateway.doubles import site


@pytest.mark.parametrize(
    ("groups", "meaning"), [(None, 4.0), (("analysts",), 2.0), (("clerks",), 4.0), (("analysts", "clerks"), 4.0)]
)
def test_one_groups_own_holds_and_for_several_the_sites(groups: tuple[str, ...] | None, meaning: float) -> None:
    said = [
        {"name": "analysts", "models": ["small"], "documents": {"meaning": 2}},
        {"name": "clerks", "models": ["small"]},
    ]
    found = site(
        models=[{"name": "small"}, {"name": "minilm"}], groups=said, documents={"model": "minilm", "meaning": 4}
    )
    assert meaning_for(found, groups) == meaning
