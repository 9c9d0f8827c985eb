"""Journey 01: from a stick to an audited answer, on a bare Debian host that no packet can leave.

The tests run in order and share the host; each one is a stage that an operator, a user or an auditor goes through.
"""

from __future__ import annotations

import base64
import hashlib
import json
import re
import time
from typing import TYPE_CHECKING

import pytest

from demo.release import MODEL, SIGNERS
from tests.e2e.one_host.conftest import EMBEDDER, GATEWAY, SITE, SOVEREIGN, TOOLS
from tests.e2e.one_host.operating import HEAL_SECONDS, call_api, files_of, sovereign, status
from tests.e2e.page import flows

if TYPE_CHECKING:
    from pathlib import Path

    from playwright.sync_api import Browser

    from lab.host import BareHost

pytestmark = [pytest.mark.e2e, pytest.mark.network]
SERVICES = ("database", "audit", "identity", f"engine-{MODEL}", f"engine-{EMBEDDER}", "gateway")
DESK = "/srv/first-contact"
QUESTION = "Which city is the capital of France?"


def test_the_host_has_no_way_out(host: BareHost) -> None:
    assert host.run(["ip", "route"]).stdout == ""
    probe = "import socket; socket.create_connection(('192.0.2.1', 443), 3)"
    assert "unreachable" in host.run(["python3", "-c", probe], check=False).stderr.lower()
    lookup = "import socket; socket.getaddrinfo('assistant.example', 443)"
    assert "gaierror" in host.run(["python3", "-c", lookup], check=False).stderr


def test_nothing_of_the_project_is_on_the_host(host: BareHost) -> None:
    assert not [name for name in files_of(host) if "sovereign" in name or "keycloak" in name]
    assert host.run(["python3", "-c", "import venv, ensurepip"], check=False).returncode != 0


def test_the_host_compares_the_card_with_what_a_signer_reads_out_and_the_script_with_the_card(
    host: BareHost, medium: Path
) -> None:
    host.run(["sh", "-c", f"mkdir -m 0700 {DESK} && cd /media/stick && cp first-contact.sh site-start.txt {DESK}/"])
    read_out = hashlib.sha256((medium / "site-start.txt").read_bytes()).hexdigest()
    assert host.run(["sha256sum", "-c"], stdin=f"{read_out}  {DESK}/site-start.txt\n").stdout.endswith(": OK\n")
    compared = host.run(["sh", "-c", f"cd {DESK} && grep first-contact.sh site-start.txt | sha256sum -c"])
    assert compared.stdout == "first-contact.sh: OK\n"


def first_contact(host: BareHost, bundle: str) -> tuple[int, str, str]:
    done = host.run(["sh", f"{DESK}/first-contact.sh", f"{DESK}/site-start.txt", bundle, TOOLS], check=False)
    return done.returncode, done.stdout, done.stderr


SPOILT = {
    "unsigned": ("rm -r FIRST-CONTACT.sig", "FIRST-CONTACT.sig is no folder"),
    "one signature too few": (f"rm FIRST-CONTACT.sig/{SIGNERS[0]}.ed25519", "is signed by 1 of 2 persons"),
    "text changed": ("sed -i 's/^glibc .*/glibc 2.0/' FIRST-CONTACT", "is not valid"),
    "wheel changed": (
        """echo >> "blobs/sha256/$(sed -n 's/^wheelhouse \\([^ ]*\\) .* tuf-.*/\\1/p' FIRST-CONTACT)\"""",
        "is larger than it may be",
    ),
}


@pytest.mark.parametrize("how", SPOILT)
def test_first_contact_refuses_a_medium_that_was_changed_and_leaves_nothing(host: BareHost, how: str) -> None:
    spoil, cause = SPOILT[how]
    before = files_of(host)
    host.run(["sh", "-c", f"cp -r /media/stick/bundle /tmp/changed && cd /tmp/changed && {spoil}"])
    code, out, error = first_contact(host, "/tmp/changed")
    assert (code, out) == (3, ""), error
    assert cause in error
    assert host.run(["test", "-e", TOOLS], check=False).returncode != 0
    assert files_of(host) == before
    host.run(["rm", "-rf", "/tmp/changed"])


def test_first_contact_refuses_what_only_the_whole_verification_sees(host: BareHost) -> None:
    code, out, error = first_contact(host, "/media/tampered")
    assert (code, out) == (3, ""), error
    assert "holds other bytes than were signed" in error
    assert host.run(["test", "-e", TOOLS], check=False).returncode != 0


def test_first_contact_makes_the_command_from_the_medium(host: BareHost) -> None:
    code, out, error = first_contact(host, "/media/stick/bundle")
    assert (code, out) == (0, f"{SOVEREIGN}\n"), error
    assert "targets signatures, ml-dsa-65" in error
    assert host.run(["ls", TOOLS]).stdout == "env\n"
    assert sovereign(host, "--version")[1].startswith("sovereign ")


def test_a_flipped_byte_is_refused_and_nothing_is_left(host: BareHost, medium: Path) -> None:
    before = files_of(host)
    root = (medium / "fingerprint").read_text()
    code, _, error = sovereign(
        host, "install", "/media/tampered", "--config", "/media/stick/site.yaml", "--root", root, check=False
    )
    assert code == 3
    assert "holds other bytes than were signed" in error
    assert files_of(host) == before


def test_a_foreign_root_is_refused_and_nothing_is_left(host: BareHost) -> None:
    before = files_of(host)
    code, _, error = sovereign(
        host,
        "install",
        "/media/stick/bundle",
        "--config",
        "/media/stick/site.yaml",
        "--root",
        "sha256:" + "0" * 64,
        check=False,
    )
    assert code == 3
    assert "root" in error
    assert files_of(host) == before


def test_installation_survives_a_power_cut(host: BareHost, medium: Path) -> None:
    root = (medium / "fingerprint").read_text()
    command = f"{SOVEREIGN} --site {SITE} install /media/stick/bundle --config /media/stick/site.yaml --root {root}"
    host.run(["systemd-run", "--unit=first-try", "sh", "-c", command])
    deadline = time.monotonic() + HEAL_SECONDS
    while host.run(["grep", "-c", '"done"', f"{SITE}/state/journal.jsonl"], check=False).stdout.strip() in {
        "",
        "0",
        "1",
    }:
        assert time.monotonic() < deadline, host.run(["journalctl", "-u", "first-try", "--no-pager"]).stdout
        time.sleep(0.2)
    host.cut_power()
    host.boot()
    host.run(["sh", "-c", command])


def test_a_second_installation_changes_nothing(host: BareHost) -> None:
    before = host.run(
        ["sh", "-c", f"find {SITE}/releases {SITE}/secrets {SITE}/trust {SITE}/store -printf '%p %T@ %s\\n'"]
    )
    _, out, _ = sovereign(
        host, "install", "/media/stick/bundle", "--config", "/media/stick/site.yaml", "--output", "json"
    )
    assert json.loads(out)["steps"] == []
    after = host.run(
        ["sh", "-c", f"find {SITE}/releases {SITE}/secrets {SITE}/trust {SITE}/store -printf '%p %T@ %s\\n'"]
    )
    assert after.stdout == before.stdout


def test_every_service_runs_under_a_user_of_its_own(host: BareHost) -> None:
    sovereign(host, "up")
    found = status(host)
    assert {service["name"] for service in found["services"]} == set(SERVICES)
    users = [host.run(["stat", "-c", "%U", f"/proc/{service['pid']}"]).stdout.strip() for service in found["services"]]
    assert len(set(users)) == len(SERVICES)
    assert "root" not in users


def test_the_realm_is_what_the_site_file_says(host: BareHost) -> None:
    assert json.loads(sovereign(host, "identity", "drift", "--output", "json")[1]) == []


def test_nothing_listens_beyond_loopback(host: BareHost) -> None:
    for line in host.run(["ss", "-Hltun"]).stdout.splitlines():
        address = line.split()[4]
        assert re.match(r"(127\.0\.0\.\d+|\[::1\]|\[::ffff:127\.0\.0\.1\]):", address), line


def test_people_sign_in_ask_and_get_a_receipt(host: BareHost, browser: Browser) -> None:
    host.run(["sh", "-c", "printf 'username,groups\\nanalyst,analysts\\nclerk,clerks\\n' > /tmp/users.csv"])
    sovereign(host, "user", "import", "/tmp/users.csv", "--passwords-out", "/tmp/passwords")
    given = dict(line.split(",")[:2] for line in host.run(["cat", "/tmp/passwords"]).stdout.splitlines())
    for user in ("analyst", "clerk"):
        page = browser.new_page()
        outside: list[str] = []
        page.on("request", lambda request, seen=outside: seen.append(request.url))
        flows.open_page(page, GATEWAY)
        page.locator("#sign-in").click()
        flows.fill_sign_in_form(page, user, given[user])
        page.locator("#password-new").fill(f"{user}-chose-this-Passphrase-1")
        page.locator("#password-confirm").fill(f"{user}-chose-this-Passphrase-1")
        page.locator("[type=submit]").click()
        page.locator(flows.READY).wait_for()
        flows.ask(page, QUESTION)
        receipt = flows.open_receipt(page).inner_text()
        assert MODEL in receipt
        assert all(re.match(r"https://localhost:844[34]/", url) for url in outside if not url.startswith("data:"))
        page.context.close()


def test_a_program_uses_the_api_with_the_openai_package(host: BareHost, tmp_path: Path) -> None:
    found = call_api(host, tmp_path)
    assert found["text"].strip()
    assert found["streamed"].strip()
    assert found["receipt"]["model"]["name"] == MODEL
    assert set(found["receipt"]["instructions"]) == {"site"}
    near, far = found["likeness"]  # as the embedding model's producer documents them
    assert abs(near - 0.6660) < 0.01
    assert abs(far - 0.1046) < 0.01


def test_cases_are_evaluated_on_the_running_site_and_the_gate_judges_by_them(host: BareHost) -> None:
    said = {"kind": "contains", "expected": ["days"], "groups": ["analysts"], "language": "en"}
    cases = "".join(json.dumps({**said, "question": f"How many days are {n} weeks?"}) + "\n" for n in range(20))
    told = base64.b64encode(cases.encode()).decode()
    host.run(["sh", "-c", f"echo {told} | base64 -d > /tmp/cases.jsonl"])
    sovereign(host, "learn", "cases", "import", "/tmp/cases.jsonl")
    evaluate = ("learn", "evaluate", "--out", "/tmp/before.jsonl", "--max-tokens", "4", "--output", "json")
    stopped = json.loads(sovereign(host, *evaluate, "--tokens", "600")[1])
    assert 0 < stopped["cases"] < 20
    found = json.loads(sovereign(host, *evaluate)[1])
    assert (found["cases"], found["complete"]) == (20, True)
    gate = ("learn", "gate", "/tmp/before.jsonl", "/tmp/before.jsonl")
    assert "passes" in sovereign(host, *gate)[2]
    code, _, words = sovereign(host, *gate, "--claim", "all", check=False)
    assert (code, "all is not better, as was claimed" in words) == (3, True)


def test_status_names_weights_that_answer_and_that_the_gate_does_not_know(host: BareHost) -> None:
    """As if a release had brought them: the record knows others."""
    record = f"{SITE}/state/judged.json"
    kept = host.run(["cat", record]).stdout
    assert not [line for line in status(host)["warnings"] if "no gate let pass" in line]
    said = json.loads(kept)
    said["groups"]["analysts"]["weights"] = {MODEL: ["sha256:" + "0" * 64]}
    for text, lines in ((json.dumps(said), 1), (kept, 0)):
        told = base64.b64encode(text.encode()).decode()
        host.run(["sh", "-c", f"echo {told} | base64 -d > {record}"])
        found = [line for line in status(host)["warnings"] if "no gate let pass" in line]
        assert len(found) == lines
        assert all(line.startswith(f"{MODEL} answers analysts by weights sha256:") for line in found)


def test_a_site_file_with_words_that_no_gate_let_pass_is_refused_from_then_on(host: BareHost) -> None:
    judged = json.loads(host.run(["cat", f"{SITE}/state/judged.json"]).stdout)["groups"]
    assert {name: (of["ever"], sorted(of["held"])) for name, of in judged.items()} == dict.fromkeys(
        ("analysts", "clerks"),
        (
            True,
            [
                "how documents are looked up",
                "instructions",
                "models and adapters",
                "the site's instructions",
            ],
        ),
    )
    host.run(["sh", "-c", "mkdir /tmp/edited && cp /media/stick/*.pub /media/stick/*.json /tmp/edited"])
    host.run(["sh", "-c", "sed 's/one short sentence/three sentences/' /media/stick/site.yaml > /tmp/edited/site.yaml"])
    before = host.run(["cat", f"{SITE}/site.yaml", f"{SITE}/state/journal.jsonl"]).stdout
    install = ("install", "/media/stick/bundle", "--config", "/tmp/edited/site.yaml")
    code, _, words = sovereign(host, *install, check=False)
    refusal = "what no gate let pass: analysts: the site's instructions; clerks: the site's instructions"
    assert (code, refusal in " ".join(words.split())) == (3, True)
    assert host.run(["cat", f"{SITE}/site.yaml", f"{SITE}/state/journal.jsonl"]).stdout == before
