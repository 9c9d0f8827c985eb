"""A support bundle holds no secret and nothing about people: canaries of each kind, in every spelling, are gone."""

from __future__ import annotations

import base64
import json

import pytest

from appliance.install.redaction import Redactor

KNOWN = b"\xfb\xff\xfeknown-bytes-of-a-key"
PASSWORD = b"correct horse battery"
REDACTOR = Redactor((KNOWN, PASSWORD), people=("kessler",), kept=("10.77.0.11", "10.88.0.0/16"))

CANARIES = {
    "a known secret as it is": ("opened with correct horse battery today", "horse"),
    "a known secret in base64": (f"k {base64.b64encode(KNOWN).decode()}", base64.b64encode(KNOWN).decode()[:12]),
    "a known secret for addresses": (f"k {base64.urlsafe_b64encode(KNOWN).decode()}", "-__-"),
    "a known secret in hex": (f"k={KNOWN.hex()}", KNOWN.hex()[:12]),
    "a password in a command": ("kc.sh start --db-password=CANARY1 --http", "CANARY1"),
    "a password in quotes": ("password: 'CANARY two words'", "CANARY"),
    "a password in a dsn": ("postgresql://gateway:CANARY@db/x", "CANARY"),
    "a bearer": ("Authorization: Bearer CANARY-aGVsbG8gd29ybGQ", "CANARY"),
    "a cookie": ("cookie: __Host-s=CANARY; Path=/", "CANARY"),
    "a token of JSON": ("got eyJhbGciOiJSUzI1NiJ9.CANARYeyJzdWIiOiIxIn0.c2ln here", "CANARY"),
    "a token of kubeadm": ("join --token abcdef.0123456789abcdef", "0123456789abcdef"),
    "a private key": ("-----BEGIN PRIVATE KEY-----\nCANARY\n-----END PRIVATE KEY-----\n", "CANARY"),
    "a private key that is cut off": ("x -----BEGIN EC PRIVATE KEY-----\nCANARY\nCANARY", "CANARY"),
    "an unknown key in base64": ("using Q0FOQVJZb2ZhbnVua25vd25rZXkxMjM0NTY3ODkwQUJD for it", "Q0FOQVJZ"),
    "an unknown key in hex": ("using 00ff00ff00ff00ff00ff00ff00ff00ff for it", "00ff00ff"),
    "a name known": ("sign-in of kessler refused", "kessler"),
    "an e-mail address": ("mail to canary.person@ministry.example failed", "canary"),
    "a user of Keycloak": ('type="LOGIN_ERROR", username="canary", ipAddress="192.0.2.7"', "canary"),
    "where a user sits": ('ipAddress="192.0.2.7"', "192.0.2.7"),
    "a prompt in text": ('prompt: "CANARY what is the plan"', "CANARY"),
    "a prompt in JSON": (json.dumps({"level": "info", "messages": [{"content": "CANARY"}]}), "CANARY"),
    "a question deep in JSON": (json.dumps({"a": [{"question": {"t": "CANARY"}}]}), "CANARY"),
    "a person in JSON": (json.dumps({"event": "sign-in", "preferred_username": "canary"}), "canary"),
    "a token in JSON": (json.dumps({"refresh_token": "CANARY"}), "CANARY"),
    "a secret inside a string of JSON": (json.dumps({"event": "ran x --password=CANARY"}), "CANARY"),
    "a secret as a key of JSON": (json.dumps({PASSWORD.decode(): 1}), "horse"),
    "half a line of JSON": ('{"level": "info", "prompt": "CANARY and', "CANARY"),
}


@pytest.mark.parametrize("kind", CANARIES)
def test_a_canary_is_gone_from_a_log(kind: str) -> None:
    line, canary = CANARIES[kind]
    assert canary in line
    found = REDACTOR.log(f"before\n{line}\nafter\n")
    assert canary not in found
    assert found.startswith("before\n")


@pytest.mark.parametrize(
    "line",
    [
        "engine-gemma ready after 3.2 s, 927 MiB",
        f"blob sha256:{64 * 'a'} verified",
        "listening on 127.0.0.1:8443, peer 10.77.0.11, pod 10.88.1.7",
        "open /var/lib/sovereign/images/blobs: no space left on device",
        '{"level": "error", "event": "not durable", "status": 503, "duration_ms": 12}',
    ],
)
def test_what_helps_stays(line: str) -> None:
    assert REDACTOR.log(line + "\n") == line + "\n"


def test_fields_of_data_go_by_name_and_figures_stay() -> None:
    found = REDACTOR.data({"user": "canary", "output_tokens": 12, "officers": [{"name": "canary"}], "memory_mib": 900})
    assert found == {"user": "[person]", "output_tokens": 12, "officers": "[person]", "memory_mib": 900}
