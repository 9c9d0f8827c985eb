"""Journey 01 goes on: a terminal, a full disk, a reboot, killed services, on the host of test_01."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import time
import zipfile
from typing import TYPE_CHECKING

import pytest

from appliance.audit.checkpoint import read_vkeys
from appliance.site.paths import SitePaths
from demo.release import MODEL
from tests.audit.processes import until
from tests.audit.site_reconciliation import outstanding, proven, read_diary, read_log, reconcile
from tests.audit.site_storm import Storm, callers
from tests.e2e.one_host.conftest import EMBEDDER, GATEWAY, ISSUER, SITE, SOVEREIGN
from tests.e2e.one_host.full_disk import fill_until_refused
from tests.e2e.one_host.operating import HEAL_SECONDS, call_api, eventually_up, service_secret, services, sovereign
from tests.e2e.page import flows

if TYPE_CHECKING:
    from pathlib import Path

    from playwright.sync_api import Browser

    from lab.host import BareHost

pytestmark = [pytest.mark.e2e, pytest.mark.network]
SERVICES = ("database", "audit", "identity", f"engine-{MODEL}", f"engine-{EMBEDDER}", "gateway")
QUESTION = "Which city is the capital of France?"


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
    host.run(["sh", "-c", f"cp -a {folder} /tmp/audit-copy && mount -t tmpfs -o size={int(size) + 40}m small {folder}"])
    host.run(["sh", "-c", f"cp -a /tmp/audit-copy/. {folder}/ && chown --reference=/tmp/audit-copy {folder}"])
    sovereign(host, "up")
    eventually_up(host)
    assert call_api(host, tmp_path)["status"] == 200
    assert 0 < fill_until_refused(host, folder, lambda: call_api(host, tmp_path)["status"] == 503) < 20_000
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


def test_an_auditor_finds_a_wrong_password_and_takes_its_proof_away(
    host: BareHost, browser: Browser, tmp_path: Path
) -> None:
    """What happened at Keycloak alone is in the log a moment later, and what was looked at is proven elsewhere."""
    page = browser.new_page()
    flows.open_page(page, GATEWAY)
    page.locator("#sign-in").click()
    with page.expect_navigation():
        flows.fill_sign_in_form(page, "analyst", "not-what-analyst-chose-1")
    flows.fill_sign_in_form(page, "analyst", "analyst-chose-this-Passphrase-1")
    page.locator(flows.READY).wait_for()
    page.goto(f"{GATEWAY}/auditor")
    found = flows.look_for(page, kind="identity_sign_in", outcome="failure", within_seconds=HEAL_SECONDS)
    with page.expect_download() as download:
        found.get_by_role("link", name="with its proof").click()
    with zipfile.ZipFile(download.value.path()) as proof:
        proof.extractall(tmp_path / "proof")
    page.context.close()
    keys = tmp_path / "audit-vkeys"
    keys.write_text(host.run(["cat", f"{SITE}/policies/audit-vkeys"]).stdout)
    argv = [sys.executable, "-I", str(tmp_path / "proof/verify.py"), "--vkeys", str(keys)]
    checked = subprocess.run(argv, cwd=tmp_path / "proof", capture_output=True, text=True, check=False)
    assert checked.returncode == 0, checked.stderr
    assert "identity_sign_in" in (tmp_path / "proof/entries.jsonl").read_text()
    kinds = json.loads(sovereign(host, "audit", "report", "--output", "json")[1])["kinds"]
    assert kinds["log_read"] >= 3  # state, figures, entries; and the proof


def test_everything_comes_back_after_a_reboot(host: BareHost, browser: Browser) -> None:
    browser.close()
    host.shut_down()
    host.boot()
    eventually_up(host)


def test_what_the_site_says_first_was_not_computed_again(host: BareHost, tmp_path: Path) -> None:
    """The first question after the reboot finds what the engine made of the site's instructions, kept on disk."""
    usage = call_api(host, tmp_path)["receipt"]["usage"]
    assert usage["cached_tokens"] > 60
    assert usage["prompt_tokens"] > usage["cached_tokens"]


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


def test_services_that_are_killed_while_programs_ask_heal_and_the_log_has_every_request_once(
    host: BareHost, tmp_path: Path
) -> None:
    ca, diary, paths = tmp_path / "ca.pem", tmp_path / "diary", SitePaths(host.root / SITE.lstrip("/"))
    ca.write_text(host.run(["cat", f"{SITE}/tls/ca.pem"]).stdout)
    program = [sys.executable, "-m", "tests.audit.site_callers", GATEWAY, ISSUER, "batch", str(diary), str(ca)]
    start = json.loads(sovereign(host, "audit", "report", "--output", "json")[1])["log"]["size"]
    storm = Storm(diary, lambda: services(host), lambda pid: host.run(["kill", "-9", str(pid)]), lambda: 0)
    with callers(host.inside(program, network_only=True), service_secret(host, tmp_path)):
        for service in SERVICES:
            storm.strike(service)
    eventually_up(host)
    seen, vkeys = read_diary(diary, "batch"), read_vkeys(paths.policies / "audit-vkeys")
    until(lambda: not outstanding(read_log(paths.audit_log, vkeys, start), seen), HEAL_SECONDS)
    receipts = proven(seen, vkeys)
    logged = read_log(paths.audit_log, vkeys, start, [one.head for one in receipts.values()])
    found = reconcile(logged, seen, receipts)
    assert found["told their end"] >= len(SERVICES)
    assert found["ended by the writer"] > 0


def test_certificates_are_renewed_and_both_ports_show_them(host: BareHost) -> None:
    def shown(port: int) -> str:
        ask = f"import ssl; print(ssl.get_server_certificate(('localhost', {port})))"
        return host.run(["python3", "-c", ask]).stdout.strip()

    before, authority = [shown(8443), shown(8444)], host.run(["cat", f"{SITE}/tls/ca.pem"]).stdout
    listed = json.loads(sovereign(host, "certificates", "renew", "--dry-run", "--output", "json")[1])
    assert {each["name"] for each in listed} == {"gateway", "identity"}
    assert [shown(8443), shown(8444)] == before
    sovereign(host, "certificates", "renew")
    after = [shown(8443), shown(8444)]
    assert not {*after} & {*before}
    assert host.run(["cat", f"{SITE}/tls/gateway.pem"]).stdout.startswith(after[0])
    assert host.run(["cat", f"{SITE}/tls/ca.pem"]).stdout == authority
    eventually_up(host)


def test_a_support_bundle_holds_no_secret_and_nothing_of_people(host: BareHost) -> None:
    unit = host.run(["sh", "-c", "basename /etc/systemd/system/sovereign-*-gateway.service"]).stdout.strip()
    planted = "mark-of-a-canary password=a-Canary-of-the-journey user=analyst"
    host.run(["sh", "-c", f"echo '{planted}' > {SITE}/log/canary.log"])
    listed = json.loads(sovereign(host, "support-bundle", "--dry-run", "--output", "json")[1])
    assert host.run(["test", "-e", "/tmp/support.tar.gz"], check=False).returncode == 1
    sovereign(host, "support-bundle", "--out", "/tmp/support.tar.gz")
    unpack = "mkdir /tmp/support && tar -C /tmp/support -xzf /tmp/support.tar.gz && cd /tmp/support && "
    host.run(["sh", "-c", f"{unpack} sha256sum --check --quiet SHA256SUMS"])
    names = host.run(["sh", "-c", "cd /tmp/support && find . -type f"]).stdout.split()
    assert {f"./{item['path']}" for item in listed} == {*names} - {"./SHA256SUMS"}
    held = host.run(["sh", "-c", "cat /tmp/support/* /tmp/support/log/*"], check=False).stdout
    assert "mark-of-a-canary" in held
    assert unit.rpartition("-")[0] in held  # what the services said in systemd's journal
    for canary in ("a-Canary-of-the-journey", "user=analyst", QUESTION, "Passphrase-1", "PRIVATE KEY"):
        assert canary not in held
    host.run(["rm", "-r", "/tmp/support", "/tmp/support.tar.gz", f"{SITE}/log/canary.log"])


def test_the_log_still_verifies_after_all_of_it(host: BareHost) -> None:
    sovereign(host, "audit", "verify")
