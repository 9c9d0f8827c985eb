"""Section 11: DSSE statements, each tried against the keys of the architect and the builder."""

from __future__ import annotations

import base64
import json
from typing import TYPE_CHECKING, Any

from airgap_bundle.statement import WAIVER_TYPE, sign_statement
from tests.signers import signer
from tests.vectors.cases.desk import CASES, Case

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    Change = Callable[[dict[str, Any]], object]

OTHER_TYPE = "application/vnd.sovereign.other.v1+json"
PAYLOAD = {"schema": 1, "reason": "because", "until": "2026-12-31"}
KNOWN = ("architect", "builder")


def _halves(name: str, payload_type: str = WAIVER_TYPE) -> list[dict[str, str]]:
    found: list[dict[str, str]] = json.loads(sign_statement(PAYLOAD, payload_type, signer(name)))["signatures"]
    return found


def _sign(value: dict[str, Any], *signatures: dict[str, str]) -> None:
    value["signatures"] = list(signatures)


def _loose(value: dict[str, Any]) -> None:
    """Set a bit that base64 does not use: another text of the same bytes."""
    data = base64.b64decode(value["signatures"][0]["sig"])
    text = base64.b64encode(data).decode()
    body, padding = text.rstrip("="), text[len(text.rstrip("=")) :]
    alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"
    value["signatures"][0]["sig"] = body[:-1] + alphabet[alphabet.index(body[-1]) ^ 1] + padding


STATEMENTS: dict[str, tuple[str | None, Change, str]] = {
    "statement": (None, lambda _value: None, WAIVER_TYPE),
    "statement-of-another-type": ("PayloadTypeError", lambda _value: None, OTHER_TYPE),
    "statement-relabelled": ("SignatureError", lambda value: value.update(payloadType=OTHER_TYPE), OTHER_TYPE),
    "statement-unsigned": ("UnsignedError", _sign, WAIVER_TYPE),
    "statement-without-ml-dsa": (
        "HalfSignatureError",
        lambda value: _sign(value, *(s for s in value["signatures"] if len(s["sig"]) < 200)),
        WAIVER_TYPE,
    ),
    "statement-by-a-stranger": ("UnknownSignerError", lambda value: _sign(value, *_halves("stranger")), WAIVER_TYPE),
    "statement-by-halves-of-two": (
        "UnknownSignerError",
        lambda value: _sign(value, _halves("architect")[0], _halves("builder")[1]),
        WAIVER_TYPE,
    ),
    "statement-by-two-persons": (
        "MalformedError",
        lambda value: _sign(value, *_halves("architect"), *_halves("builder")),
        WAIVER_TYPE,
    ),
    "statement-with-one-signature-twice": (
        "MalformedError",
        lambda value: _sign(value, value["signatures"][0], value["signatures"][0]),
        WAIVER_TYPE,
    ),
    "statement-with-another-payload": (
        "SignatureError",
        lambda value: value.update(payload=base64.b64encode(b'{"schema":2}').decode()),
        WAIVER_TYPE,
    ),
    "statement-with-a-field-more": ("MalformedError", lambda value: value.update(note="unsigned"), WAIVER_TYPE),
    "statement-in-loose-base64": ("MalformedError", _loose, WAIVER_TYPE),
    "statement-in-wrapped-base64": (
        "MalformedError",
        lambda value: value.update(payload=value["payload"][:20] + "\n" + value["payload"][20:]),
        WAIVER_TYPE,
    ),
}


def _make(change: Change) -> Callable[[Path], None]:
    def files(folder: Path) -> None:
        value = json.loads(sign_statement(PAYLOAD, WAIVER_TYPE, signer("architect")))
        change(value)
        (folder / "statement.json").write_bytes(json.dumps(value).encode())
        for name in KNOWN:
            (folder / f"{name}.pub").write_text(json.dumps(signer(name).public.to_json()) + "\n")

    return files


for _name, (_error, _change, _type) in STATEMENTS.items():
    _given = {"operation": "statement", "payload_type": _type, "signers": [f"{name}.pub" for name in KNOWN]}
    _expect = {"signer": "architect"} if _error is None else {}
    _about = f"{_name.replace('-', ' ')}, read as {_type}"
    CASES.append(Case(_name, _error, _about, ("statements",), _given, _expect, _make(_change)))
