"""A support bundle holds no secret and nothing about people: canaries of each kind, in every spelling, are gone."""

from __future__ import annotations

import base64
import json
import time

import pytest

from appliance.install.redaction import LONG, LONGEST, Redactor, persons

KNOWN = b"\xfb\xff\xfeknown-bytes-of-a-key"
PASSWORD = b"correct horse battery"
REDACTOR = Redactor((KNOWN, PASSWORD, b'quo"ted-secret'), people=("kessler",), kept=("10.77.0.11", "10.88.0.0/16"))

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
    "brackets in a prompt": (json.dumps({"messages": [{"content": "list [a] CANARY plan"}]}), "CANARY"),
    "JSON in a string of JSON": (json.dumps({"event": 'no {"prompt": "a \\"b\\" CANARY"}'}), "CANARY"),
    "JSON in a string that is cut off": ('{"event": "no {\\"prompt\\": \\"CANARY two words', "CANARY"),
    "JSON as a field's value": ('prompt={"a": "CANARY"} and CANARY', "CANARY"),
    "a list as a field's value": ('messages=[{"x": "[1]"}, "CANARY"]', "CANARY"),
    "a known secret in an address": ("x?y=correct%20horse%20battery", "horse"),
    "a known secret in a form": ("y=correct+horse+battery", "horse"),
    "a known secret in capital hex": (f"k {PASSWORD.hex().upper()}", PASSWORD.hex().upper()),
    "a known secret that JSON escapes": (json.dumps({"event": 'with quo"ted-secret'}), "ted-secret"),
    "a secret that is a number": (json.dumps({"pin": 482913, "password": 1}), "482913"),
    "a password as the next argument": ("kc.sh --db-password CANARY1 --http", "CANARY1"),
    "a password in a sentence": ("the password is CANARY1", "CANARY1"),
    "a password of two words": ("password: my CANARY", "CANARY"),
    "a password of two words in key=value": ("password=my CANARY host=db", "CANARY"),
    "a password that breaks a dsn": ("postgres://g:p@ss/CANARY@db", "CANARY"),
    "a code of sign-in": ("GET /cb?code=1f2e-CANARY&state=x", "CANARY"),
    "a prompt without quotes": ("prompt: what, does CANARY say", "CANARY"),
    "a person without quotes": ("user: Jan Canary signed in", "Canary"),
    "a person of a database": ('FATAL:  password authentication failed for user "canary"', "canary"),
    "a key of a database": ("DETAIL:  Key (realm, username)=(site, canary) already exists.", "canary"),
    "a row of a database": ("DETAIL:  Failing row contains (7, CANARY plan, null).", "CANARY"),
    "a statement of a database": ("STATEMENT:  INSERT INTO c (t)\n\tVALUES ('CANARY plan')", "CANARY"),
    "a parameter of a database": ("DETAIL:  Parameters: $1 = 'CANARY plan'", "CANARY"),
    "an input that was refused": ("not valid [type=string_type, input_value='CANARY a', input_type=str]", "CANARY"),
    "a first name": ('firstName="Canary", lastName="Canary"', "Canary"),
    "a first name in JSON": (json.dumps({"firstName": "Canary"}), "Canary"),
    "a subject of a token": (json.dumps({"sub": "canary"}), "canary"),
    "where a user sits, in IPv6": ("client 2001:db8:abcd::17 gone", "abcd"),
    "where a user sits, in JSON": (json.dumps({"remote_ip": "2001:db8:abcd::17"}), "abcd"),
}
BEFORE = {
    "bare": "",
    "behind the runtime's words": "2026-11-26T09:30:14.123456789Z stderr F ",
    "behind the journal's words": "Nov 26 09:30:14 node1 sovereign-ab-gateway[7]: ",
}


@pytest.mark.parametrize("place", BEFORE)
@pytest.mark.parametrize("kind", CANARIES)
def test_a_canary_is_gone_from_a_log(kind: str, place: str) -> None:
    text, canary = CANARIES[kind]
    assert canary in text
    line = "".join(BEFORE[place] + each for each in text.splitlines(keepends=True))
    found = REDACTOR.log(f"before\n{line}\nafter\n")
    assert canary not in found
    assert found.startswith(f"before\n{BEFORE[place]}" if "private key" not in kind else "before\n")


@pytest.mark.parametrize(
    "hostile", ["a.", "a,", "a", "A1a/", "secret=", 'secret="', "user='", "eyJ-", ":", "x:", " ", "{"]
)
def test_a_hostile_line_costs_as_much_as_it_is_long(hostile: str) -> None:
    """Four times the length is four times the work; were it sixteen, one prompt could keep the command for hours."""

    def cost(length: int) -> float:
        line = "user=" + (hostile * length)[:length]
        began = time.process_time()
        for _ in range(5):
            REDACTOR.text(line)
        return time.process_time() - began

    small, large = (min(cost(length) for _ in range(3)) for length in (2000, 8000))
    assert large < 10 * small + 0.005


def test_a_line_that_nobody_reads_goes_as_a_whole_and_nested_json_is_no_crash() -> None:
    assert REDACTOR.log("a." * LONGEST + "\nafter\n") == f"{LONG}\nafter\n"
    deep = '{"a":' + "[" * 3000 + '"prompt": "CANARY"'
    assert "CANARY" not in REDACTOR.log(f"before\n{deep}\nafter\n")
    assert REDACTOR.log('{"a":' + "[" * 100_000 + "]" * 100_000 + "}\n") == f"{LONG}\n"


def test_names_of_people_are_those_that_the_site_file_says() -> None:
    site = {"name": "lab", "officers": [{"name": "Kessler", "public_key": "k.pub"}], "models": [{"name": "gemma"}]}
    assert set(persons(site)) == {"Kessler", "k.pub"}


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
