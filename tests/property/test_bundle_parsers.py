"""Parsers of hostile input: whatever the bytes, the answer is a value or the parser's own error, and nothing else."""

from __future__ import annotations

import contextlib
import io
import json
import shutil
import tempfile
import unicodedata
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from airgap_bundle import strict_json
from airgap_bundle.archive import Entry, Limits, extract, write_tar
from airgap_bundle.chain import follow
from airgap_bundle.descriptor import Descriptor
from airgap_bundle.errors import BundleError, FormatError, UnsafeNameError, VerificationError
from airgap_bundle.metadata import parse_root, parse_snapshot, parse_targets, parse_timestamp
from airgap_bundle.names import check_distinct, check_name, check_path
from airgap_bundle.oci import parse_index, parse_release
from airgap_bundle.root_policy import require
from airgap_bundle.signing.request import REQUEST_TYPE, parse_request
from airgap_bundle.signing.response import RESPONSE_TYPE, parse_response
from airgap_bundle.signing.token_uri import TokenUri
from airgap_bundle.statement import WAIVER_TYPE, sign_statement, verify_statement
from tests.bundles import Site, make, root_bytes, signer

SIZES = st.integers(-strict_json.MAX_INTEGER, strict_json.MAX_INTEGER)
TEXT = st.text(st.characters(exclude_categories=["Cs"]))
VALUES = st.recursive(
    st.none() | st.booleans() | SIZES | TEXT,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXT, inner, max_size=4),
    max_leaves=20,
)
SMALL = Limits(members=100, total_bytes=1 << 20)


@given(VALUES)
def test_canonical_json_reads_back_as_it_was(value: Any) -> None:
    data = strict_json.dumps(value)
    assert strict_json.loads(data) == value
    assert strict_json.dumps(strict_json.loads(data)) == data


@given(st.binary(max_size=200) | VALUES.map(lambda value: json.dumps(value).encode()))
@example(b'{"a":1,"a":2}')
@example(b"[1e999]")
@example(b'"\\ud83d\\ude00"')
@example(b"-0")
def test_strict_json_accepts_only_what_json_accepts_and_gives_the_same_value(data: bytes) -> None:
    try:
        value = strict_json.loads(data)
    except FormatError:
        return
    assert json.loads(data) == value


@given(st.text(max_size=12), st.integers(1, 20), st.integers(0, 3))
def test_depth_is_counted_outside_strings_only(text: str, depth: int, spare: int) -> None:
    value: Any = text.encode(errors="replace").decode() + '[[{"\\'
    for _ in range(depth):
        value = [value]
    data = json.dumps(value).encode()
    assert strict_json.loads(data, max_depth=depth + spare) == value
    with pytest.raises(FormatError, match="nested deeper"):
        strict_json.loads(b"[" + data + b"]", max_depth=depth)


@given(st.text(max_size=40))
@example("a/../b")
@example("CON.txt")
@example("\u0130")
def test_an_accepted_name_is_one_portable_component(name: str) -> None:
    try:
        check_name(name)
    except UnsafeNameError:
        return
    assert Path("/base", name).parent == Path("/base")
    assert Path("/base", name).name == name
    assert unicodedata.is_normalized("NFC", name)
    assert not name.endswith((".", " "))
    assert len(name.encode()) <= 255


@given(st.text(max_size=60))
def test_an_accepted_path_stays_below_its_base(path: str) -> None:
    try:
        check_path(path)
    except UnsafeNameError:
        return
    assert ".." not in Path(path).parts
    assert not Path(path).is_absolute()
    assert "/".join(Path(path).parts) == path


@given(st.lists(st.text(max_size=4), max_size=6))
@example(["", ""])
@example(["\u0131", "I"])
def test_distinct_names_stay_distinct_after_case_folding_and_normalisation(names: list[str]) -> None:
    try:
        check_distinct(names)
    except UnsafeNameError:
        return
    for fold in (str, str.casefold, str.upper, lambda name: unicodedata.normalize("NFKC", name)):
        assert len({fold(name) for name in names}) == len(names)


SAFE = st.text("abcdefgh.-_é", min_size=1, max_size=12).filter(lambda text: not text.endswith("."))
PATHS = st.lists(SAFE.map(lambda text: "x" + text), min_size=1, max_size=4).map("/".join)
FILES = st.dictionaries(PATHS, st.binary(max_size=1200), max_size=5)


def entries_of(files: dict[str, bytes]) -> list[Entry] | None:
    """The files as entries, unless one of them would be another's folder or names collide."""
    try:
        check_distinct(files)
        for path in files:
            check_path(path)
    except UnsafeNameError:
        return None
    if any(other.startswith(path + "/") for path in files for other in files):
        return None
    return [Entry(path, data) for path, data in files.items()]


@given(FILES)
@settings(deadline=None)
def test_a_written_tar_extracts_to_the_same_files(files: dict[str, bytes]) -> None:
    entries = entries_of(files)
    if entries is None:
        return
    out = io.BytesIO()
    write_tar(out, entries)
    with tempfile.TemporaryDirectory() as folder:
        extract(io.BytesIO(out.getvalue()), Path(folder, "out"), SMALL)
        found = {path.relative_to(Path(folder, "out")) for path in Path(folder, "out").rglob("*") if path.is_file()}
        assert found == {Path(path) for path in files}
        assert all(Path(folder, "out", path).read_bytes() == data for path, data in files.items())


@given(st.data())
@settings(deadline=None)
def test_a_mutated_tar_is_refused_or_differs_in_file_contents_only(data: st.DataObject) -> None:
    out = io.BytesIO()
    write_tar(out, [Entry("a", b"1" * 600), Entry("b/" + "n" * 120, b"2"), Entry("c", None)])
    raw = bytearray(out.getvalue())
    position = data.draw(st.integers(0, len(raw) - 1))
    raw[position] ^= data.draw(st.integers(1, 255))
    with tempfile.TemporaryDirectory() as folder:
        try:
            extract(io.BytesIO(bytes(raw)), Path(folder, "out"), SMALL)
        except (FormatError, UnsafeNameError):
            assert {path.name for path in Path(folder).iterdir()} == {"out"}
            return
        long_name = out.getvalue().index(b"b/nnn")
        if position not in range(long_name, long_name + 122):  # a record holds it, which has no checksum of its own
            assert sorted(path.name for path in Path(folder, "out").iterdir()) == ["a", "b", "c"]
        assert Path(folder, "out/a").stat().st_size == 600


@given(st.binary(max_size=3000))
@settings(deadline=None)
def test_random_bytes_are_no_tar(data: bytes) -> None:
    with tempfile.TemporaryDirectory() as folder, pytest.raises((FormatError, UnsafeNameError)):
        extract(io.BytesIO(data), Path(folder, "out"), SMALL)


PARSERS = [parse_root, parse_targets, parse_snapshot, parse_timestamp, parse_index, parse_release]


@pytest.mark.parametrize("parse", PARSERS)
@given(st.binary(max_size=100) | VALUES.map(lambda value: json.dumps(value).encode()))
def test_metadata_parsers_answer_with_their_own_errors(parse: Any, data: bytes) -> None:
    with pytest.raises((FormatError, UnsafeNameError)):
        parse(data)


@given(VALUES)
def test_descriptors_answer_with_their_own_error(value: Any) -> None:
    try:
        assert Descriptor.from_json(Descriptor.from_json(value).to_json()) == Descriptor.from_json(value)
    except FormatError:
        return


def nodes(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """Paths to every node of a JSON value."""
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return [path, *(found for key, item in items for found in nodes(item, (*path, key)))]


@given(st.data())
@settings(deadline=None)
def test_a_root_with_any_node_replaced_is_refused_never_a_crash(data: st.DataObject) -> None:
    value = json.loads(root_bytes())
    before = json.dumps(value)
    *parents, last = data.draw(st.sampled_from(nodes(value)[1:]))
    holder = value
    for key in parents:
        holder = holder[key]
    holder[last] = data.draw(VALUES)
    if json.dumps(value) == before:
        return
    with pytest.raises(BundleError):
        follow({1: json.dumps(value).encode()}, 1)


ROLES = {"targets": parse_targets, "snapshot": parse_snapshot, "timestamp": parse_timestamp}


@pytest.mark.parametrize("role", ROLES)
@given(data=st.data())
@settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_role_metadata_with_any_node_replaced_is_refused_never_a_crash(
    whole: Path, role: str, data: st.DataObject
) -> None:
    value = json.loads((whole / f"metadata/{role}.json").read_bytes())
    before = json.dumps(value)
    *parents, last = data.draw(st.sampled_from(nodes(value)[1:]))
    holder = value
    for key in parents:
        holder = holder[key]
    holder[last] = data.draw(VALUES)
    if json.dumps(value) == before:
        return
    with pytest.raises(BundleError):
        require(parse_root(root_bytes()).signed, role, ROLES[role](json.dumps(value).encode()))


@given(VALUES.filter(lambda value: isinstance(value, dict)))
@settings(deadline=None)
def test_a_statement_reads_back_with_its_signers_name(payload: dict[str, Any]) -> None:
    data = sign_statement(payload, WAIVER_TYPE, signer("architect"))
    keys = [signer("builder").public, signer("architect").public]
    assert verify_statement(data, WAIVER_TYPE, keys) == (payload, "architect")


@given(st.data())
@settings(deadline=None)
def test_a_statement_with_any_byte_changed_is_refused(data: st.DataObject) -> None:
    raw = bytearray(sign_statement({"schema": 1, "reason": "because"}, WAIVER_TYPE, signer("architect")))
    raw[data.draw(st.integers(0, len(raw) - 1))] ^= data.draw(st.integers(1, 255))
    with pytest.raises(VerificationError):
        verify_statement(bytes(raw), WAIVER_TYPE, [signer("architect").public])


@given(st.binary(max_size=200) | VALUES.map(lambda value: json.dumps(value).encode()))
def test_random_bytes_are_no_statement(data: bytes) -> None:
    with pytest.raises(VerificationError):
        verify_statement(data, WAIVER_TYPE, [signer("architect").public])


@given(st.data())
@settings(deadline=None, max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_a_bundle_with_any_byte_of_any_file_changed_is_refused(whole: Path, data: st.DataObject) -> None:
    with tempfile.TemporaryDirectory() as folder:
        bundle = Path(shutil.copytree(whole, Path(folder, "bundle")))
        path = data.draw(st.sampled_from(sorted(path for path in bundle.rglob("*") if path.is_file())))
        raw = bytearray(path.read_bytes())
        raw[data.draw(st.integers(0, len(raw) - 1))] ^= data.draw(st.integers(1, 255))
        path.write_bytes(raw)
        site = Site(Path(folder, "site"))
        with site.unchanged(), pytest.raises(BundleError) as refused:
            site.install(bundle, pin=root_bytes())
        assert isinstance(refused.value, VerificationError)


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make(tmp_path_factory.mktemp("whole") / "bundle")


ENVELOPE = st.sampled_from(["schema", "type", "roots", "files", "index", "release", "documents", "targets", "draft"])
TYPES = st.sampled_from([1, True, REQUEST_TYPE, RESPONSE_TYPE, "aGk=", ["aGk="], {"targets": "aGk="}, {"root": "e30="}])


@given(st.dictionaries(ENVELOPE, TYPES | VALUES, max_size=9).map(strict_json.dumps) | st.binary(max_size=100))
def test_requests_and_responses_are_parsed_or_refused(data: bytes) -> None:
    for parse in (parse_request, parse_response):
        with contextlib.suppress(VerificationError):
            parse(data)


@given(
    st.text(st.sampled_from("pkcs11:token=object;id%41?& \n"), max_size=40).map("pkcs11:token=T;".__add__) | st.text()
)
def test_an_accepted_token_uri_names_a_token_and_a_key_and_nothing_secret(text: str) -> None:
    try:
        found = TokenUri.parse(text)
    except FormatError:
        return
    assert found.token
    assert found.label is not None or found.key_id is not None
    assert "?" not in text
    assert text.isprintable()
