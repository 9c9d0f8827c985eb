"""Journey 01: from a stick to an audited answer, on a bare Debian host that no packet can leave.

The tests run in order and share the host; each one is a stage that an operator, a user or an auditor goes through.
"""

from __future__ import annotations

import hashlib
import json
import re
import subprocess
import time
from typing import TYPE_CHECKING

import pytest

from demo.release import MODEL, OFFICER, SIGNERS
from tests.e2e.one_host.conftest import GATEWAY, SITE, SOVEREIGN, TOOLS
from tests.e2e.one_host.operating import HEAL_SECONDS, call_api, eventually_up, files_of, sovereign, status
from tests.e2e.one_host.second_model import DEPUTY
from tests.e2e.page import flows

if TYPE_CHECKING:
    from pathlib import Path

    from playwright.sync_api import Browser

    from lab.host import BareHost

pytestmark = [pytest.mark.e2e, pytest.mark.network]
SERVICES = ("database", "audit", "identity", f"engine-{MODEL}", "gateway")
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


def test_officers_bring_another_model_and_every_receipt_names_the_one_that_answered(
    host: BareHost, medium: Path, tmp_path: Path
) -> None:
    first = call_api(host, tmp_path)["receipt"]["model"]["digest"]
    second = (medium / "second-digest").read_text()
    held = ["sh", "-c", f"find {SITE}/store {SITE}/trust -type f -printf '%p %T@ %s\\n' | sort"]
    before = host.run(held).stdout
    sovereign(host, "model", "import", "/media/stick/models", "--dry-run")
    assert host.run(held).stdout == before
    sovereign(host, "model", "import", "/media/stick/models")
    assert call_api(host, tmp_path)["receipt"]["model"]["digest"] == first
    sovereign(host, "model", "promote", MODEL, "--reason", "the officers brought it")
    receipt = answered(host, tmp_path)
    assert (receipt["digest"], receipt["signers"]) == (second, sorted([OFFICER, DEPUTY]))
    rows = json.loads(sovereign(host, "model", "list", "--output", "json")[1])
    assert {(row["digest"], row["state"]) for row in rows if row["name"] == MODEL} == {
        (first, "former"),
        (second, "serving"),
    }
    sovereign(host, "model", "rollback", MODEL, "--reason", "the journey goes on with the first")
    assert answered(host, tmp_path)["digest"] == first
    report = json.loads(sovereign(host, "audit", "report", "--output", "json")[1])
    assert report["kinds"]["model_change"] == 3


def answered(host: BareHost, folder: Path) -> dict[str, object]:
    """The model's part of the receipt; a question that was admitted for the former model is asked again."""
    deadline = time.monotonic() + HEAL_SECONDS
    while (found := call_api(host, folder))["status"] != 200:
        assert time.monotonic() < deadline, found
        time.sleep(1)
    return dict(found["receipt"]["model"])


def test_a_terminal_signs_in_by_device_and_gets_an_answer(host: BareHost, browser: Browser) -> None:
    ask = [SOVEREIGN, "chat", "--url", GATEWAY, "--ca", f"{SITE}/tls/ca.pem", "--output", "json", QUESTION]
    terminal = subprocess.Popen(
        host.inside(["env", "-i", "XDG_STATE_HOME=/tmp/terminal", "LANG=C.UTF-8", *ask]),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    with terminal:
        assert terminal.stderr is not None
        shown = ""
        while not (address := re.search(r"https://localhost:8444/\S+user_code=\S+", shown)):
            line = terminal.stderr.readline()
            assert line, shown
            shown += line
        page = browser.new_page()
        page.goto(address.group(0))
        flows.fill_sign_in_form(page, "analyst", "analyst-chose-this-Passphrase-1")
        page.locator("[name=accept]").click()
        out, error = terminal.communicate(timeout=HEAL_SECONDS)
        page.context.close()
    assert terminal.returncode == 0, error
    answer = json.loads(out)
    assert isinstance(answer["answer"], str)
    assert answer["receipt"]["model"]["name"] == MODEL


def test_a_full_disk_stops_answers_and_freed_space_brings_them_back(host: BareHost, tmp_path: Path) -> None:
    unit = host.run(["sh", "-c", "basename /etc/systemd/system/sovereign-*-audit.service"]).stdout.strip()
    folder = f"{SITE}/data/audit"
    size = host.run(["sh", "-c", f"du -sm {folder} | cut -f1"]).stdout.strip()
    host.run(["systemctl", "stop", unit])
    host.run(["sh", "-c", f"cp -a {folder} /tmp/audit-copy && mount -t tmpfs -o size={int(size) + 8}m small {folder}"])
    host.run(["sh", "-c", f"cp -a /tmp/audit-copy/. {folder}/ && chown --reference=/tmp/audit-copy {folder}"])
    sovereign(host, "up")
    eventually_up(host)
    assert call_api(host, tmp_path)["status"] == 200
    fill = f"for size in 64k 1k; do dd if=/dev/zero of={folder}/filler-$size bs=$size 2>/dev/null; done; true"
    host.run(["sh", "-c", fill])
    assert call_api(host, tmp_path)["status"] == 503
    host.run(["sh", "-c", f"rm {folder}/filler-*"])
    deadline = time.monotonic() + HEAL_SECONDS
    while call_api(host, tmp_path)["status"] != 200:
        assert time.monotonic() < deadline
        time.sleep(1)
    sovereign(host, "audit", "verify")
    host.run(["systemctl", "stop", unit])
    host.run(["sh", "-c", f"rm -rf /tmp/audit-copy && cp -a {folder} /tmp/audit-copy && umount {folder}"])
    host.run(["sh", "-c", f"rm -rf {folder}/* && cp -a /tmp/audit-copy/. {folder}/ && rm -rf /tmp/audit-copy"])
    sovereign(host, "up")
    eventually_up(host)


def test_the_log_proves_what_happened(host: BareHost) -> None:
    sovereign(host, "audit", "verify")
    report = json.loads(sovereign(host, "audit", "report", "--output", "json")[1])
    assert report["total"]["answers"] >= 2
    assert report["total"]["sign_ins"] >= 2


def test_everything_comes_back_after_a_reboot(host: BareHost, browser: Browser) -> None:
    browser.close()
    host.shut_down()
    host.boot()
    eventually_up(host)


def test_conversations_outlive_the_reboot(browser: Browser) -> None:
    page = browser.new_page()
    flows.open_page(page, GATEWAY)
    flows.sign_in(page, "analyst", "analyst-chose-this-Passphrase-1")
    page.get_by_role("button", name="capital of France").or_(
        page.get_by_role("link", name="capital of France")
    ).first.click()
    flows.last_answer(page).wait_for()
    flows.ask(page, "How many days does a week have?")
    assert MODEL in flows.open_receipt(page).inner_text()
    page.context.close()


@pytest.mark.parametrize("service", SERVICES)
def test_a_killed_service_heals(host: BareHost, service: str) -> None:
    pid = next(entry["pid"] for entry in status(host)["services"] if entry["name"] == service)
    host.run(["kill", "-9", str(pid)])
    deadline = time.monotonic() + HEAL_SECONDS
    while True:
        found = next(entry for entry in status(host)["services"] if entry["name"] == service)
        if found["ready"] and found["pid"] != pid:
            break
        assert time.monotonic() < deadline, found
        time.sleep(0.5)
    eventually_up(host)


def test_the_log_still_verifies_after_all_of_it(host: BareHost) -> None:
    sovereign(host, "audit", "verify")


def test_uninstalling_leaves_the_host_as_it_was(host: BareHost) -> None:
    sovereign(host, "uninstall", "--yes")
    left = {name for name in files_of(host) if "sovereign" in name and not name.startswith(TOOLS)}
    assert left == set()
    assert "sovereign" not in host.run(["cat", "/etc/passwd", "/etc/group"]).stdout
