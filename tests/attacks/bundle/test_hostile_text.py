"""Text that somebody else wrote is quoted in refusals: it never moves a cursor, hides a line or fills a screen."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from airgap_bundle.errors import MAX_CAUSE, BundleError, UnlistedFileError, VerificationError
from tests.bundles import root_bytes, second_root, signer

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.bundles import Site

ESCAPE = "\x1b]0;owned\x07\x1b[2J\r\nerror: all is well\u202e\u200b"
LONG = "x" * 500_000


def _builder_key(root: dict[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = root["signed"]["keys"][signer("builder").public.ml_dsa.keyid]
    return found


def _rename_key(root: dict[str, Any], text: str) -> None:
    keys = root["signed"]["keys"]
    keys[text] = keys.pop(signer("builder").public.ml_dsa.keyid)


# Fields of a second root that nobody has signed: they are read before its signatures are.
FIELDS: dict[str, Callable[[dict[str, Any], str], object]] = {
    "key type": lambda root, text: _builder_key(root).update(keytype=text),
    "scheme": lambda root, text: _builder_key(root).update(scheme=text),
    "signer": lambda root, text: _builder_key(root).update({"x-sovereign-signer": text}),
    "public key": lambda root, text: _builder_key(root).update(keyval={"public": text}),
    "key id": _rename_key,
    "role": lambda root, text: root["signed"]["roles"].update({text: root["signed"]["roles"]["root"]}),
    "type": lambda root, text: root["signed"].update(_type=text),
    "version": lambda root, text: root["signed"].update(version=[text]),
    "specification": lambda root, text: root["signed"].update(spec_version=text),
    "expiry": lambda root, text: root["signed"].update(expires=text),
}


@pytest.mark.parametrize("text", [ESCAPE, LONG], ids=["escape sequences", "half a megabyte"])
@pytest.mark.parametrize("change", FIELDS.values(), ids=FIELDS)
def test_an_unsigned_root_does_not_write_on_the_operators_terminal(
    site: Site, bundle: Path, change: Callable[[dict[str, Any], str], object], text: str
) -> None:
    root = json.loads(second_root())
    change(root, text)
    (bundle / "metadata/2.root.json").write_bytes(json.dumps(root).encode())
    with site.unchanged(), pytest.raises(VerificationError) as refused:
        site.install(bundle)
    assert refused.value.report is not None
    for line in (refused.value.cause, *(check.detail for check in refused.value.report.checks)):
        assert line.isprintable()
        assert len(line) < 10 * MAX_CAUSE


def test_every_error_is_one_printable_line_whatever_it_quotes() -> None:
    error = BundleError(f"quoting {ESCAPE}", f"see {ESCAPE}")
    assert error.cause.isprintable()
    assert error.hint is not None
    assert error.hint.isprintable()
    assert len(BundleError(LONG).cause) == MAX_CAUSE


def test_what_prints_is_quoted_as_it_is(fresh: Site, bundle: Path) -> None:
    (bundle / "Maße 模型.txt").write_bytes(b"")
    refusal = fresh.refuses(bundle, UnlistedFileError, pin=root_bytes())
    assert "Maße 模型.txt" in refusal.cause
