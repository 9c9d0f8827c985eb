"""Section 2: JSON that a strict reader refuses; section 7: the shape of metadata files."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

from tests.bundles import rewrite
from tests.vectors.cases.desk import case, edit, sign_anyhow

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

TIMESTAMP_CHECK = "timestamp signatures, ed25519"

SPELLINGS = {
    "empty-file": b"",
    "byte-order-mark": b'\xef\xbb\xbf{"signatures":[],"signed":{}}',
    "not-utf-8": b'{"signatures":[],"signed":{"_type":"\xff"}}',
    "duplicate-keys": b'{"signatures":[],"signed":{},"signed":{}}',
    "duplicate-keys-spelled-otherwise": b'{"signatures":[],"signed":{"a":1,"\\u0061":2}}',
    "nan": b'{"signatures":[],"signed":{"version":NaN}}',
    "infinity": b'{"signatures":[],"signed":{"version":-Infinity}}',
    "infinity-by-exponent": b'{"signatures":[],"signed":{"version":1e999}}',
    "integer-of-2-to-the-63": b'{"signatures":[],"signed":{"version":9223372036854775808}}',
    "integer-of-thousands-of-digits": b'{"signatures":[],"signed":{"version":' + b"9" * 5000 + b"}}",
    "lone-surrogate": b'{"signatures":[],"signed":{"_type":"\\ud800"}}',
    "nested-33-deep": b'{"signatures":' + b"[" * 32 + b"]" * 32 + b',"signed":{}}',
    "nested-ten-thousand-deep": b"[" * 10_000 + b"]" * 10_000,
    "text-after-the-end": b'{"signatures":[],"signed":{}} {}',
    "single-quotes": b"{'signatures':[],'signed':{}}",
}


for _name, _data in SPELLINGS.items():

    @case(
        _name,
        "MalformedError",
        "strict-json",
        check=TIMESTAMP_CHECK,
        about=f"timestamp.json: {_name.replace('-', ' ')}",
    )
    def spelling(folder: Path, data: bytes = _data) -> None:
        (folder / "bundle/metadata/timestamp.json").write_bytes(data)


@case("metadata-beyond-its-cap", "MalformedError", "caps", check=TIMESTAMP_CHECK, about="a timestamp.json above 1 MiB")
def beyond_cap(folder: Path) -> None:
    os.truncate(folder / "bundle/metadata/timestamp.json", (1 << 20) + 1)


def _signature(value: dict[str, Any], **fields: object) -> None:
    value["signatures"][0].update(fields)


ENVELOPES: dict[str, Callable[[dict[str, Any]], object]] = {
    "field-beside-signed": lambda value: value.update(note="nobody signed this"),
    "field-in-a-signature": lambda value: _signature(value, note="nobody signed this"),
    "signature-in-upper-case": lambda value: _signature(value, sig=value["signatures"][0]["sig"].upper()),
    "key-id-too-short": lambda value: _signature(value, keyid="abc"),
    "one-key-signs-twice": lambda value: value["signatures"].append(value["signatures"][0]),
    "65-signatures": lambda value: value["signatures"].extend(
        {"keyid": f"{number:064x}", "sig": "00"} for number in range(63)
    ),
}


for _name, _change in ENVELOPES.items():

    @case(
        _name,
        "MalformedError",
        "caps" if "65" in _name else "envelope",
        check=TIMESTAMP_CHECK,
        about=f"timestamp.json, not signed anew: {_name.replace('-', ' ')}",
    )
    def envelope(folder: Path, change: Callable[[dict[str, Any]], object] = _change) -> None:
        edit(folder / "bundle/metadata/timestamp.json", change)


TIMESTAMPS: dict[str, Callable[[dict[str, Any]], object]] = {
    "version-0": lambda signed: signed.update(version=0),
    "version-true": lambda signed: signed.update(version=True),
    "version-as-text": lambda signed: signed.update(version="3"),
    "not-issued": lambda signed: signed.pop("x-sovereign-issued"),
    "issued-in-another-spelling": lambda signed: signed.update({"x-sovereign-issued": "2026-06-01T12:00:00+00:00"}),
    "expiry-with-a-fraction": lambda signed: signed.update(expires="2028-05-31T12:00:00.5Z"),
    "another-role": lambda signed: signed.update(_type="snapshot"),
    "snapshot-named-by-a-path": lambda signed: signed["meta"].update(
        {"../snapshot.json": signed["meta"].pop("snapshot.json")}
    ),
    "two-hashes": lambda signed: signed["meta"]["snapshot.json"]["hashes"].update(sha512="0" * 128),
    "no-length": lambda signed: signed["meta"]["snapshot.json"].pop("length"),
}


for _name, _change in TIMESTAMPS.items():

    @case(
        _name,
        "MalformedError",
        "instants" if "issued-in" in _name or "expiry" in _name else "metadata",
        check=TIMESTAMP_CHECK,
        about=f"timestamp.json, signed: {_name.replace('-', ' ')}",
    )
    def timestamp(folder: Path, change: Callable[[dict[str, Any]], object] = _change) -> None:
        rewrite(folder / "bundle/metadata/timestamp.json", change, "release")


TARGETS: dict[str, Callable[[dict[str, Any]], object]] = {
    "third-target": lambda signed: signed["targets"].update({"more.json": signed["targets"]["index.json"]}),
    "target-without-digest": lambda signed: signed["targets"]["index.json"].update(hashes={"sha512": "0" * 128}),
    "delegations": lambda signed: signed.update(delegations={"keys": {}, "roles": []}),
}


for _name, _change in TARGETS.items():

    @case(
        _name,
        "MalformedError",
        "metadata",
        check="targets signatures, ed25519",
        about=f"targets.json, signed: {_name.replace('-', ' ')}",
    )
    def targets(folder: Path, change: Callable[[dict[str, Any]], object] = _change) -> None:
        bundle = sign_anyhow(folder / "bundle")
        rewrite(bundle / "metadata/targets.json", change, "architect", "builder")


@case("unknown-fields", None, "strict-json", about="fields that this version does not know, inside signed objects")
def unknown_fields(folder: Path) -> None:
    rewrite(
        folder / "bundle/metadata/timestamp.json", lambda signed: signed.update({"x-later": {"a": [1, "ä"]}}), "release"
    )
