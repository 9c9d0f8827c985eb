"""The vectors cover the format: every rule, every paragraph that says MUST, every class of refusal."""

from __future__ import annotations

import pytest

from airgap_bundle import errors
from tests.vectors.generate import HERE
from tests.vectors.rules import README, RULES, cited, sections, table
from tests.vectors.tree import load, vectors

# No verdicts on what was carried in: a build, a ceremony or a disk failed. README.md says so.
NO_VERDICT = {"LockError", "BuildError", "RegistryError", "SigningError", "StoreError"}
ABSTRACT = {"BundleError", "VerificationError"}


@pytest.mark.parametrize("rule", RULES)
def test_a_rule_quotes_the_format_and_has_a_vector(rule: str) -> None:
    assert any(RULES[rule].words in paragraph for paragraph in sections()[RULES[rule].section])
    elsewhere = RULES[rule].elsewhere
    assert cited()[rule] or (elsewhere is not None and (HERE.parents[1] / elsewhere).is_file())


def test_every_paragraph_that_says_must_holds_a_rule() -> None:
    for number, paragraphs in sections().items():
        words = [rule.words for rule in RULES.values() if rule.section == number]
        for paragraph in paragraphs:
            if "MUST" in paragraph:
                assert any(text in paragraph for text in words), f"section {number}: {paragraph[:120]}"


def test_every_class_of_refusal_has_a_vector() -> None:
    classes = {
        name
        for name, found in vars(errors).items()
        if isinstance(found, type) and issubclass(found, errors.BundleError)
    }
    expected = {load(vector)[0]["expect"].get("error") for vector in vectors(HERE)}
    assert expected - {None} == classes - NO_VERDICT - ABSTRACT


def test_the_table_in_the_readme_is_the_vectors() -> None:
    assert table() in README.read_text()
