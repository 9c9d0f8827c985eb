"""Parsers of what travels with a model: whatever the bytes, a value or the parser's own refusal, and nothing else."""

from __future__ import annotations

import json
from typing import Any

from hypothesis import example, given, settings
from hypothesis import strategies as st

from airgap_bundle.errors import BundleError
from airgap_bundle.provenance.manifest import Identity, Piece, of_files, parse_statement, to_statement
from airgap_bundle.provenance.origin import sign_origin, verify_origin
from airgap_bundle.provenance.publisher_signature import sign_manifest, verify_signature
from appliance.models.template_analysis import analyse
from tests.unit.models.small_release import signer
from tests.unit.provenance.publisher_bench import NOW, key, publisher

HEX = st.text("0123456789abcdef", min_size=64, max_size=64)
NAMES = st.text("abcXYZ019-_", min_size=1, max_size=12).filter(lambda name: name.lower() not in {"con", "aux", "nul"})
PATHS = st.lists(NAMES, min_size=1, max_size=3).map("/".join)
MANIFEST = of_files(Identity("m", "1.0.0", "chat"), {"a": "0" * 64, "b/c": "1" * 64})
SIGNED = sign_manifest(MANIFEST, key("architect"))
STATEMENT = sign_origin("licence", {"0" * 64: "a"}, {"spdx": "MIT"}, signer("custodian"))
JSON: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.integers(-9, 9) | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)
MARKS = ("{{", "}}", "{%", "%}", "{#", "#}", "(", ")", "[", "]", "-", "+", "~", "==", "|trim", "|length", ".a")
WORDS = ("if", "endif", "for m in messages", "endfor", "set x =", "macro f(a)", "endmacro", "f(x)", "in", "not", "x")
VALUES = ("namespace(a=x)", "m.content", "m['role']", "'a'", "1", "is defined", ".split('a')", "loop.index0")
FRAGMENTS = st.sampled_from([f" {text} " for text in (*MARKS, *WORDS, *VALUES)])


@given(st.dictionaries(PATHS, HEX, min_size=1, max_size=6))
def test_a_list_of_files_reads_back_as_it_was_written(files: dict[str, str]) -> None:
    try:
        manifest = of_files(Identity("m"), files)
    except BundleError:
        return
    assert parse_statement(to_statement(manifest)) == manifest


@given(st.lists(st.tuples(PATHS, HEX), min_size=2, max_size=5, unique_by=lambda pair: pair[0]), st.randoms())
def test_a_signed_list_has_one_order(pairs: list[tuple[str, str]], random: Any) -> None:
    try:
        manifest = of_files(Identity("m"), dict(pairs))
    except BundleError:
        return
    value = json.loads(to_statement(manifest))
    random.shuffle(value["predicate"]["resources"])
    try:
        again = parse_statement(json.dumps(value).encode())
    except BundleError:
        return
    assert again.pieces == tuple(Piece(path, digest) for path, digest in sorted(dict(pairs).items()))


@given(st.binary(max_size=200) | JSON.map(lambda value: json.dumps(value).encode()))
def test_a_statement_is_read_or_refused(data: bytes) -> None:
    try:
        parse_statement(data)
    except BundleError:
        return


@settings(max_examples=200)
@given(st.integers(0, len(SIGNED) - 1), st.integers(0, 255))
def test_a_signature_with_one_other_byte_says_the_same_or_nothing(at: int, byte: int) -> None:
    data = bytearray(SIGNED)
    data[at] = byte
    try:
        found = verify_signature(bytes(data), [publisher()], NOW)
    except BundleError:
        return
    assert found.manifest == MANIFEST


@settings(max_examples=200)
@given(st.integers(0, len(STATEMENT) - 1), st.integers(0, 255))
def test_a_statement_of_origin_with_one_other_byte_says_the_same_or_nothing(at: int, byte: int) -> None:
    data = bytearray(STATEMENT)
    data[at] = byte
    try:
        found = verify_origin(bytes(data), [signer("custodian").public])
    except BundleError:
        return
    assert (found.kind, dict(found.subjects)) == ("licence", {"0" * 64: "a"})


@given(st.sampled_from(["mediaType", "verificationMaterial", "dsseEnvelope"]), JSON)
def test_a_bundle_with_any_other_part_is_refused_in_its_own_words(part: str, value: Any) -> None:
    bundle = json.loads(SIGNED)
    if bundle[part] == value:
        return
    try:
        verify_signature(json.dumps({**bundle, part: value}).encode(), [publisher()], NOW)
    except BundleError:
        return
    raise AssertionError("a changed bundle was accepted")


@settings(max_examples=300)
@given(st.lists(FRAGMENTS, max_size=30).map("".join) | st.text(max_size=60))
@example("{% set ns.x = 1 %}")
@example("{% macro m(a, a) %}{% endmacro %}")
@example("{% for a, (b, c) in messages %}{% endfor %}")
@example("{% set a, b = messages %}")
def test_a_template_is_judged_whatever_it_is(text: str) -> None:
    for finding in analyse(text):
        assert finding.line >= 1
        assert "\n" not in str(finding)
