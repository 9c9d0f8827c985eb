"""Journey 01: officers bring an embedding model of many languages, of a name that the site did not know until then.

A question in German finds a house rule in English once the site's documents have its vectors, and words never did.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from tests.e2e.one_host.conftest import EMBEDDER, SITE, SITE_YAML
from tests.e2e.one_host.multilingual import (
    BUNDLE,
    GERMAN,
    INSTALL,
    searched,
    searched_by_meaning,
    site_file,
    with_multilingual,
)
from tests.e2e.one_host.operating import eventually_up, services, sovereign, status, units
from tests.e2e.one_host.second_model import MULTILINGUAL

if TYPE_CHECKING:
    from lab.host import BareHost

pytestmark = [pytest.mark.e2e, pytest.mark.network]
RULES = (
    "The cellar is locked at six in the evening; the porter keeps the key.",
    "Lunch is served from noon until two.",
)


def state(host: BareHost) -> str:
    rows = json.loads(sovereign(host, "model", "list", "--output", "json")[1])
    return next(str(row["state"]) for row in rows if row["name"] == MULTILINGUAL)


def test_a_model_of_a_new_name_is_chosen_before_it_serves(host: BareHost) -> None:
    sovereign(host, "model", "import", BUNDLE)
    site_file(host, with_multilingual())
    before, running = host.run(["cat", f"{SITE}/site.yaml"]).stdout, set(services(host))
    code, _, error = sovereign(host, *INSTALL, check=False)
    assert (code, f"sovereign model promote {MULTILINGUAL}" in " ".join(error.split())) == (2, True), error
    assert host.run(["cat", f"{SITE}/site.yaml"]).stdout == before
    assert units(host, f"engine-{EMBEDDER}"), "what is refused stops nothing"
    told = sovereign(
        host, "model", "promote", MULTILINGUAL, "--reason", "most rules are in English", "--output", "json"
    )
    assert (json.loads(told[1])["listed"], state(host)) == (False, "chosen")
    assert set(services(host)) == running


def test_a_question_finds_what_it_shares_no_word_with_in_another_language(host: BareHost) -> None:
    for number, rule in enumerate(RULES):
        host.run(["sh", "-c", f"printf '%s' '{rule}' > /srv/house-rules/rule-{number}.txt"])
    sovereign(host, "document", "sync")
    sovereign(host, *INSTALL)
    eventually_up(host)
    assert (state(host), f"engine-{MULTILINGUAL}" in services(host)) == ("serving", True)
    assert units(host, f"engine-{EMBEDDER}") == "", "the unit of the model that went is gone, and what ran in it"
    first, *others = searched_by_meaning(host, GERMAN)
    assert "park in bay seven" in first["body"]
    assert all(first["cosine"] > one["cosine"] for one in others)
    warned = [line for line in status(host)["warnings"] if MULTILINGUAL in line]
    assert all(line.startswith("waiver for ") for line in warned), warned


def test_the_site_goes_back_to_its_releases_model(host: BareHost) -> None:
    """Whoever comes after finds the site as it was; what was chosen is remembered."""
    site_file(host, SITE_YAML)
    sovereign(host, *INSTALL)
    eventually_up(host)
    assert (state(host), f"engine-{MULTILINGUAL}" in services(host)) == ("chosen", False)
    assert units(host, MULTILINGUAL) == ""
    host.run(["sh", "-c", "rm /srv/house-rules/rule-*"])
    sovereign(host, "document", "sync")
    assert all("park" in found["body"] for found in searched(host, "park in bay seven"))
    sovereign(host, "audit", "verify")
