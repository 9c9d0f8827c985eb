"""SBOMs are valid CycloneDX, say what is inside what, and are equal for equal content."""

from __future__ import annotations

import json

from airgap_bundle.build.artifact import Component
from airgap_bundle.build.cyclonedx_document import make_sbom

SUBJECT = Component("demo", "1.0.0", "application")
ALPHA = Component("alpha", "1.0", purl="pkg:pypi/alpha@1.0", sha256="a" * 64, licence="Apache-2.0 OR MIT")
INNER = Component("engine", "9", licence="made by hand", parent="alpha")


def test_equal_content_gives_equal_bytes_and_other_content_another_serial() -> None:
    first, again = (make_sbom(SUBJECT, [ALPHA, INNER], 0) for _ in range(2))
    assert first == again
    other = make_sbom(SUBJECT, [ALPHA], 0)
    assert json.loads(first)["serialNumber"] != json.loads(other)["serialNumber"]


def test_time_comes_from_the_release_not_from_the_clock() -> None:
    assert json.loads(make_sbom(SUBJECT, [ALPHA], 86400))["metadata"]["timestamp"] == "1970-01-02T00:00:00+00:00"


def test_a_component_has_digest_licence_and_what_it_carries() -> None:
    (alpha,) = json.loads(make_sbom(SUBJECT, [ALPHA, INNER], 0))["components"]
    assert alpha["hashes"] == [{"alg": "SHA-256", "content": "a" * 64}]
    assert alpha["licenses"] == [{"expression": "Apache-2.0 OR MIT"}]
    assert alpha["purl"] == "pkg:pypi/alpha@1.0"
    assert [item["name"] for item in alpha["components"]] == ["engine"]
    assert alpha["components"][0]["licenses"] == [{"license": {"name": "made by hand"}}]


def test_two_files_of_one_coordinate_are_two_components() -> None:
    twin = Component("alpha", "1.0", purl="pkg:pypi/alpha@1.0", sha256="b" * 64)
    assert len(json.loads(make_sbom(SUBJECT, [ALPHA, twin], 0))["components"]) == 2


def test_no_address_of_a_tool_or_registry_is_in_it() -> None:
    text = make_sbom(SUBJECT, [ALPHA, INNER], 0).decode()
    assert "tools" not in json.loads(text)["metadata"]
    assert text.count("://") == text.count("http://cyclonedx.org/schema/bom-1.6.schema.json")
