"""Parsers of what registries and upstream say: whatever the value, the answer is a value or the parser's own error."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from airgap_bundle.build import registry_rules
from airgap_bundle.build.image_claims import check_simple_signing, check_statement
from airgap_bundle.build.promised_entry import promised_entry, read_promise
from airgap_bundle.container_image import (
    FAMILIES,
    ImageManifest,
    Platform,
    check_config,
    parse_image_manifest,
)
from airgap_bundle.digest import sha256
from airgap_bundle.errors import FormatError, RegistryError, VerificationError
from airgap_bundle.image_reference import parse_reference
from airgap_bundle.locked_image import parse_image
from tests.image_signatures import payload, statement
from tests.images import SmallImage
from tests.sigstore_instance import NOW, Instance

DIGEST = sha256(b"image")
TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63) + 1, 2**63 - 1) | TEXT,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXT, inner, max_size=3),
    max_leaves=10,
)
IMAGE = SmallImage()
PROMISE = Instance().promise(b'{"kind":"hashedrekord","apiVersion":"0.0.1"}', NOW)


def replaced(data: st.DataObject, value: Any) -> Any:
    """``value`` with one of its nodes replaced by anything."""
    paths = [path for path in nodes(value) if path]
    copy = json.loads(json.dumps(value))
    *parents, last = data.draw(st.sampled_from(paths))
    holder = copy
    for key in parents:
        holder = holder[key]
    holder[last] = data.draw(VALUES)
    return copy


def nodes(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return [path, *(found for key, item in items for found in nodes(item, (*path, key)))]


@given(st.data())
@settings(deadline=None)
def test_a_manifest_with_any_node_replaced_is_read_or_refused_never_a_crash(data: st.DataObject) -> None:
    value = replaced(data, IMAGE.manifest)
    try:
        found = parse_image_manifest(json.dumps(value).encode(), IMAGE.media_type)
    except FormatError:
        return
    family = FAMILIES[IMAGE.media_type]
    assert found.config.media_type == family.config
    assert {layer.media_type for layer in found.layers} <= family.layers


@given(VALUES.filter(lambda value: isinstance(value, dict)))
def test_a_config_is_consistent_or_refused_never_a_crash(value: dict[str, Any]) -> None:
    image = parse_image_manifest(IMAGE.data, IMAGE.media_type)
    with pytest.raises(FormatError):
        check_config(value, ImageManifest(image.config, image.layers), Platform("amd64"))


@given(st.data(), st.sampled_from(["simple", "statement"]))
@settings(deadline=None)
def test_a_claim_with_any_node_replaced_is_about_the_same_image_or_refused(data: st.DataObject, form: str) -> None:
    value = replaced(data, json.loads(payload(DIGEST, "name") if form == "simple" else statement(DIGEST)))
    raw = json.dumps(value).encode()
    try:
        if form == "simple":
            check_simple_signing(raw, DIGEST)
        else:
            check_statement("application/vnd.in-toto+json", raw, DIGEST)
    except VerificationError:
        return
    assert (DIGEST if form == "simple" else DIGEST.hex).encode() in raw


@given(st.data())
@settings(deadline=None)
def test_a_promise_with_any_node_replaced_is_read_or_refused_never_a_crash(data: st.DataObject) -> None:
    try:
        promised_entry(read_promise(json.dumps(replaced(data, PROMISE))))
    except VerificationError:
        return


@given(VALUES)
def test_a_locked_image_is_read_or_refused_never_a_crash(value: Any) -> None:
    with pytest.raises(FormatError):
        parse_image(value)


@given(st.text(max_size=80) | st.from_regex(r"[a-z.]{1,9}(:\d+)?/[a-z/._-]{1,20}(:\w+)?(@sha256:[0-9a-f]{64})?"))
def test_an_accepted_reference_is_what_was_written_and_no_path(text: str) -> None:
    try:
        found = parse_reference(text)
    except FormatError:
        return
    tag, digest = f":{found.tag}" if found.tag else "", f"@{found.digest}" if found.digest else ""
    assert f"{found.host}/{found.repository}{tag}{digest}" == text
    assert not {"..", ".", ""} & set(found.repository.split("/"))


@given(st.text(max_size=40), st.sampled_from(["registry.example", "127.0.0.1:5000"]))
def test_an_accepted_address_is_tls_or_this_machine(text: str, host: str) -> None:
    for address in (text, f"https://{text}", f"http://{text}", f"//{text}"):
        try:
            found = registry_rules.redirect_target(registry_rules.base_address(host), address, host)
        except RegistryError:
            continue
        assert found.startswith("https://" if host == "registry.example" else ("https://", "http://"))


@given(st.text(max_size=20), st.integers(0, 3))
def test_a_wait_is_bounded_whatever_the_registry_asks_for(header: str, attempt: int) -> None:
    assert 0 <= registry_rules.retry_delay(header, attempt) <= registry_rules.MAX_DELAY_SECONDS
