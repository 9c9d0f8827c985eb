"""Journey 01 ends: the site is backed up, removed, made again from its backup, and removed for good."""

from __future__ import annotations

import json
import time
from typing import TYPE_CHECKING

import pytest

from tests.e2e.one_host.conftest import GATEWAY, SITE, SITE_YAML, SOVEREIGN, TOOLS
from tests.e2e.one_host.multilingual import BUNDLE, GERMAN, INSTALL, searched_by_meaning, site_file, with_multilingual
from tests.e2e.one_host.operating import (
    HEAL_SECONDS,
    call_api,
    eventually_up,
    files_of,
    services,
    sovereign,
    status,
    units,
)
from tests.e2e.one_host.second_model import MULTILINGUAL
from tests.e2e.page import flows

if TYPE_CHECKING:
    from pathlib import Path

    from playwright.sync_api import Browser

    from lab.host import BareHost

pytestmark = [pytest.mark.e2e, pytest.mark.network]
CUSTODY = "/root/custody"  # another machine's, and another medium's, were there one
KEYS = f"{CUSTODY}/subject-keys"
GIVEN = ("--subject-keys", KEYS, "--site-key", f"{CUSTODY}/bare.pub")
PHRASE = "a phrase that the custodian keeps"
RESTORE = (
    "restore", f"{CUSTODY}/first", *GIVEN, "--recovery-key", f"{CUSTODY}/recovery.key",
    "--bundle", "/media/stick/bundle", "--recovery-fd", "0",
)  # fmt: skip


def custodian(host: BareHost, *arguments: str, check: bool = True) -> tuple[int, str, str]:
    """A command that asks for the recovery key's passphrase on its stdin."""
    done = host.run([SOVEREIGN, "--site", SITE, *arguments], stdin=f"{PHRASE}\n", check=check)
    return done.returncode, done.stdout, done.stderr


def back_up(host: BareHost, name: str) -> None:
    recipient = ("--recovery-key", f"{CUSTODY}/recovery.key.pub")
    sovereign(host, "backup", "create", f"{CUSTODY}/{name}", "--subject-keys", KEYS, *recipient)


def warnings(host: BareHost) -> str:
    return "\n".join(status(host)["warnings"])


def people(host: BareHost) -> set[str]:
    return {person["username"] for person in json.loads(sovereign(host, "user", "list", "--output", "json")[1])}


def test_the_site_takes_a_model_that_no_release_of_its_has(host: BareHost) -> None:
    site_file(host, with_multilingual())
    sovereign(host, *INSTALL)
    eventually_up(host)


def test_a_running_site_is_backed_up_and_every_byte_of_it_opens(host: BareHost) -> None:
    assert "nothing of this site is backed up" in warnings(host)
    host.run(["mkdir", "-m", "0700", CUSTODY])
    custodian(host, "backup", "key", "--out", f"{CUSTODY}/recovery.key", "--passphrase-fd", "0")
    sovereign(host, "return", "key", "--out", f"{CUSTODY}/bare.pub")
    back_up(host, "first")
    host.run(["cp", f"{SITE}/data/audit/log/checkpoint", f"{CUSTODY}/kept"])
    checked = ("--recovery-key", f"{CUSTODY}/recovery.key", "--recovery-fd", "0", "--output", "json")
    found = json.loads(custodian(host, "backup", "verify", f"{CUSTODY}/first", *GIVEN, *checked)[1])
    assert (found["verified"], found["opened"], found["site"]) == (True, True, "bare")


def test_no_secret_of_the_site_lies_in_the_open(host: BareHost) -> None:
    secrets = host.run(["sh", "-c", "cat /run/sovereign-*/credentials/gateway/db_password"]).stdout
    assert len(secrets) > 30
    script = f'for word in "{secrets}" analyst keycloak user_key; do grep -rF "$word" {CUSTODY}/first {KEYS}; done'
    assert host.run(["sh", "-c", script], check=False).stdout == ""


def test_who_is_erased_after_a_backup_is_in_the_next_subject_keys(host: BareHost) -> None:
    assert "the last backup" not in warnings(host)
    sovereign(host, "user", "erase", "clerk", "--yes")
    assert "the last backup still opens what was theirs" in warnings(host)
    back_up(host, "second")
    assert "the last backup" not in warnings(host)
    assert people(host) == {"analyst"}


def test_a_log_that_is_to_be_kept_keeps_the_site(host: BareHost) -> None:
    code, _, error = sovereign(host, "uninstall", "--yes", check=False)
    told = " ".join(error.split())
    assert (code, "--log-archived FOLDER" in told, "--discard-log" in told) == (7, True, True), error
    assert people(host) == {"analyst"}


def test_uninstalling_leaves_the_host_as_it_was(host: BareHost) -> None:
    sovereign(host, "uninstall", "--yes", "--discard-log")
    left = {name for name in files_of(host) if "sovereign" in name and not name.startswith(TOOLS)}
    assert left == set()
    assert "sovereign" not in host.run(["cat", "/etc/passwd", "/etc/group"]).stdout


def test_a_dry_run_checks_everything_and_leaves_nothing(host: BareHost) -> None:
    before = files_of(host)
    found = json.loads(custodian(host, *RESTORE, "--dry-run", "--output", "json")[1])
    assert found["ok"], found
    assert files_of(host) == before


def test_a_restore_that_was_killed_serves_nobody_and_goes_on(host: BareHost) -> None:
    line = " ".join((SOVEREIGN, "--site", SITE, *RESTORE))
    host.run(["systemd-run", "--unit=first-restore", "sh", "-c", f"echo '{PHRASE}' | {line}"])
    deadline = time.monotonic() + HEAL_SECONDS
    done = ["grep", "-q", '"state": "done", "step": "restored-secrets"', f"{SITE}/state/journal.jsonl"]
    while host.run(done, check=False).returncode != 0:
        assert time.monotonic() < deadline, host.run(["journalctl", "-u", "first-restore", "--no-pager"]).stdout
        time.sleep(0.2)
    host.run(["systemctl", "kill", "--signal=KILL", "first-restore"], check=False)
    for command in (["up"], ["install", "/media/stick/bundle"]):
        code, _, error = sovereign(host, *command, check=False)
        assert code == 2, error
        assert "restored in part" in error
    code, _, said = custodian(host, *RESTORE, check=False)
    told = " ".join(said.split())
    assert (code, f"engine-{MULTILINGUAL} stays down" in told) == (5, True), said
    assert "model import` the bundle that brought it, then `sovereign model promote` it" in told


def test_a_model_that_only_a_bundle_had_is_waited_for_by_nobody_and_comes_again(host: BareHost) -> None:
    """A backup holds no bundle: its engine ends once, everything else serves, and what to bring is told."""
    engine = f"engine-{MULTILINGUAL}"
    deadline = time.monotonic() + HEAL_SECONDS
    while {name for name, each in services(host).items() if not each["ready"]} - {"gateway"} != {engine}:
        assert time.monotonic() < deadline, services(host)
        time.sleep(1)
    unit = next(word for word in units(host, engine).split() if word.startswith("sovereign-"))
    shown = ["systemctl", "show", "--property=ExecMainStatus,NRestarts,SubState", unit]
    ended = {"ExecMainStatus=78", "NRestarts=0", "SubState=failed"}
    assert set(host.run(shown).stdout.split()) == ended
    assert MULTILINGUAL in warnings(host)
    code, _, said = sovereign(host, "up", check=False)
    assert (code, f"{engine} stays down" in " ".join(said.split())) == (5, True), said
    assert set(host.run(shown).stdout.split()) == ended
    sovereign(host, "model", "import", BUNDLE)
    sovereign(host, "model", "promote", MULTILINGUAL, "--reason", "it served before the restore")
    eventually_up(host)
    assert "park" in searched_by_meaning(host, GERMAN)[0]["body"]


def test_a_restored_site_goes_back_to_its_releases_model_by_its_site_file_alone(host: BareHost) -> None:
    site_file(host, SITE_YAML)
    sovereign(host, *INSTALL)
    eventually_up(host)


def test_the_log_is_the_same_log_and_went_on(host: BareHost) -> None:
    sovereign(host, "audit", "verify", "--kept", f"{CUSTODY}/kept")


def test_people_find_what_was_theirs_and_who_was_erased_is_gone(
    host: BareHost, browser: Browser, tmp_path: Path
) -> None:
    assert people(host) == {"analyst"}
    page = browser.new_page()
    flows.open_page(page, GATEWAY)
    flows.sign_in(page, "analyst", "analyst-chose-this-Passphrase-1")
    page.get_by_role("button", name="capital of France").or_(
        page.get_by_role("link", name="capital of France")
    ).first.click()
    flows.last_answer(page).wait_for()
    flows.ask(page, "How many days does a week have?")
    page.context.close()
    assert call_api(host, tmp_path)["status"] == 200


def test_nothing_is_restored_over_a_site(host: BareHost) -> None:
    code, _, error = custodian(host, *RESTORE, check=False)
    assert code == 2, error
    assert "there is a site" in error


def test_uninstalling_a_restored_site_leaves_the_host_as_it_was(host: BareHost) -> None:
    sovereign(host, "uninstall", "--yes", "--discard-log")
    left = {name for name in files_of(host) if "sovereign" in name and not name.startswith(TOOLS)}
    assert left == set()
