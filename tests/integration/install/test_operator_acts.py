"""What an operator does to a site is in its log: `up`, `down`, `uninstall`, beside the steps of the installation."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from typer.testing import CliRunner

from airgap_bundle.trust_state import TrustState, fingerprint
from appliance.audit.checkpoint import read_vkeys
from appliance.audit.keys import CheckpointKeys
from appliance.audit.stored import read_stored
from appliance.cli.main import app
from appliance.errors import NotAllowedError, SovereignError
from appliance.install import power
from appliance.install import uninstall as removal
from appliance.install.accounts import Accounts, accounts_for, service_names
from appliance.install.acts import announce, journaled
from appliance.install.audit_spool import spool
from appliance.install.file_changes import journaled_changes
from appliance.install.journal import Journal
from appliance.install.layout import make_folders, runtime_folders, site_folders
from appliance.install.log_fate import LogFate
from appliance.install.model_record import note
from appliance.install.probe import Probe, answers
from appliance.install.status import site_status
from appliance.site.load import load_site
from appliance.site.paths import AUDIT, GATEWAY, SitePaths, engine_service
from tests.audit.former import in_words
from tests.audit.processes import until
from tests.audit.samples import EVENTS
from tests.bundles import root_bytes, second_root
from tests.other_users import as_uid, ask, connect

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from subprocess import Popen

    from click.testing import Result

REPOSITORY = Path(__file__).parents[3]
EXAMPLE = REPOSITORY / "appliance" / "install" / "site.example.yaml"
CONFIG = load_site(EXAMPLE)
ENGINE = engine_service(CONFIG.models[0].name)
RUN = "from appliance.cli.entry import run; run()"
BORROWED = ("daemon", "bin", "sys", "games", "mail")  # users that every host has, one for each service


def accounts() -> Accounts:
    """A user per service as root, without making any."""
    if os.geteuid() != 0:
        return accounts_for(CONFIG)
    return Accounts(dict(zip(service_names(CONFIG), BORROWED, strict=True)))


@pytest.fixture
def paths() -> Iterator[SitePaths]:
    """A site as the installer leaves it, as far as its log needs one: files, folders, keys, journal."""
    with tempfile.TemporaryDirectory(prefix="acts-") as name:
        Path(name).chmod(0o755)
        found = SitePaths(Path(name) / "site")
        make_folders(site_folders(found, accounts()), accounts())
        make_folders(runtime_folders(found, accounts()), accounts())
        found.site_yaml.write_bytes(EXAMPLE.read_bytes())
        found.users.write_text(json.dumps(dict(accounts().users)))
        found.release("1.0.0").mkdir()
        (found.release("1.0.0") / "release.json").write_text('{"version": "1.0.0"}')
        found.current.symlink_to(found.release("1.0.0"))
        keys = CheckpointKeys.generate()
        found.credentials(AUDIT).mkdir(parents=True)
        (found.credentials(AUDIT) / "checkpoint_ed25519.pem").write_bytes(keys.ed25519_pem())
        (found.credentials(AUDIT) / "checkpoint_mldsa44.pem").write_bytes(keys.mldsa44_pem())
        vkeys = "".join(f"{key.encode()}\n" for key in keys.vkeys(CONFIG.log_origin))
        (found.policies / "audit-vkeys").write_text(vkeys)
        journal = Journal.open(found.journal)
        journal.append("folders", "started", "sha256:00")
        journal.append("folders", "done", "sha256:00")
        journal.close()
        yield found
        shutil.rmtree(found.run, ignore_errors=True)


@pytest.fixture
def writer(paths: SitePaths) -> Iterator[Callable[[], Popen[bytes]]]:
    """Starts the site's writer by the command that its service manager uses."""
    running: list[Popen[bytes]] = []

    def start() -> Popen[bytes]:
        argv = [sys.executable, "-c", RUN, "--site", str(paths.root), "serve", AUDIT]
        env = {"PATH": "/usr/bin:/bin", "PYTHONPATH": str(REPOSITORY)}
        running.append(subprocess.Popen(argv, env=env, stdout=subprocess.DEVNULL))
        probe = Probe("unix-http", str(paths.socket(AUDIT)))
        until(lambda: answers(probe) or running[-1].poll() is not None)
        return running[-1]

    yield start
    for process in running:
        process.kill()
        process.wait()


def logged(paths: SitePaths) -> list[bytes]:
    """The entries of a log of a few, wherever they lie."""
    stored = read_stored(paths.audit_log, read_vkeys(paths.policies / "audit-vkeys"))
    return stored.tiles.entries(0) if stored.head.size else []


def entries(paths: SitePaths) -> list[tuple[str, str, str]]:
    """Step, activity and outcome of every entry, all of them the operator's."""
    events = [json.loads(entry) for entry in logged(paths)]
    assert all(event["metadata"]["uid"].startswith("operator/") for event in events)
    return [(e["unmapped"]["sovereign"]["step"], in_words(e)["activity_name"], in_words(e)["status"]) for e in events]


def test_up_and_down_are_entries_beside_the_steps_of_the_installation(
    paths: SitePaths, writer: Callable[[], Popen[bytes]]
) -> None:
    writer()
    with journaled(paths, "up"):
        pass
    assert spool(CONFIG, paths, "1.0.0") == 2
    assert announce(CONFIG, paths, "down") is None
    assert entries(paths) == [
        ("folders", "Install", "Success"),
        ("up", "Start", "Success"),
        ("down", "Stop", "Success"),
    ]


def test_an_act_while_the_writer_is_down_is_entered_when_it_is_back(
    paths: SitePaths, writer: Callable[[], Popen[bytes]]
) -> None:
    cause = announce(CONFIG, paths, "down")
    assert cause is not None
    assert "audit writer does not answer" in cause
    writer()
    spool(CONFIG, paths, "1.0.0")
    assert entries(paths)[-1] == ("down", "Stop", "Success")


def test_a_start_that_failed_is_entered_as_failed(paths: SitePaths, writer: Callable[[], Popen[bytes]]) -> None:
    with pytest.raises(KeyboardInterrupt), journaled(paths, "up"):
        raise KeyboardInterrupt
    writer()
    spool(CONFIG, paths, "1.0.0")
    assert entries(paths)[-1] == ("up", "Start", "Failure")


def test_a_decision_about_a_model_is_an_entry_with_who_why_and_digests(
    paths: SitePaths, writer: Callable[[], Popen[bytes]]
) -> None:
    detail = {"name": "demo", "weights": "sha256:b6", "former": "sha256:a5", "bundle": "1.1.0"}
    told = {"signers": "custodian, deputy", "waived": "", "by": "root", "reason": "it answers in German"}
    for state in ("started", "failed", "done"):
        note(
            paths, "promote", state, "sha256:c7", {**detail, **told, **({"error": "late"} if state == "failed" else {})}
        )
    writer()
    assert spool(CONFIG, paths, "1.0.0") == 3
    failed, done = (json.loads(entry) for entry in logged(paths)[1:])
    assert (in_words(failed)["status"], failed["status_detail"], in_words(done)["status"]) == (
        "Failure",
        "late",
        "Success",
    )
    assert done["actor"]["user"]["uid"] == "root"
    assert done["ai_model"]["uid"] == "sha256:b6"
    assert done["unmapped"]["sovereign"] == {
        "kind": "model_change",
        "action": "promote",
        "reason": told["reason"],
        "former_digest": "sha256:a5",
        "artifact_digest": "sha256:c7",
        "bundle": "1.1.0",
        "signers": ["custodian", "deputy"],
        "waived": [],
    }


def changes(paths: SitePaths) -> list[tuple[str, str, str, str | None, str | None]]:
    """Kind, name, activity and digests of every administrative change."""
    found = []
    for event in map(json.loads, logged(paths)):
        ours, entity = event["unmapped"]["sovereign"], event.get("entity", {})
        if ours["kind"] == "admin_change":
            digests = ours.get("before_digest"), ours.get("after_digest")
            found.append((entity["type"], entity["name"], in_words(event)["activity_name"], *digests))
    return found


def test_each_policy_waiver_and_key_that_an_install_brings_or_takes_is_an_entry_of_its_own(
    paths: SitePaths, writer: Callable[[], Popen[bytes]]
) -> None:
    old, new = "00" * 32, "11" * 32
    journal = Journal.open(paths.journal)
    for digests in (
        {"models.yaml": (None, old), "waivers/one": (None, old), "auditors/custodian.pub": (None, old)},
        {"waivers/one": (old, None), "models.yaml": (old, new)},
    ):
        journal.append("policies", "started", "sha256:00", journaled_changes(digests))
        journal.append("policies", "done", "sha256:00", journaled_changes(digests))
    journal.close()
    writer()
    for _ in range(2):  # a second telling, as after a crash before it was noted, adds nothing
        spool(CONFIG, paths, "1.0.0")
        (paths.journal.with_name("spooled.json")).unlink()
    assert changes(paths) == [
        ("policy", "models.yaml", "Create", None, f"sha256:{old}"),
        ("waiver", "waivers/one", "Create", None, f"sha256:{old}"),
        ("key", "auditors/custodian.pub", "Create", None, f"sha256:{old}"),
        ("waiver", "waivers/one", "Delete", f"sha256:{old}", None),
        ("policy", "models.yaml", "Update", f"sha256:{old}", f"sha256:{new}"),
    ]


def test_hundreds_of_waivers_are_each_an_entry_in_their_order(
    paths: SitePaths, writer: Callable[[], Popen[bytes]]
) -> None:
    names = [f"waivers/{n:03}" for n in range(200)]
    journal = Journal.open(paths.journal)
    journal.append("policies", "done", "sha256:00", journaled_changes(dict.fromkeys(names, (None, "00" * 32))))
    journal.close()
    writer()
    spool(CONFIG, paths, "1.0.0")
    assert [name for _, name, *_ in changes(paths)] == names


def test_another_root_is_an_entry_with_the_one_before_whatever_brought_it(
    paths: SitePaths, writer: Callable[[], Popen[bytes]]
) -> None:
    writer()
    first, second = root_bytes(), second_root()
    TrustState(fingerprint(first), first).save(paths.trust)
    spool(CONFIG, paths, "1.0.0")
    spool(CONFIG, paths, "1.0.0")
    one, other = str(fingerprint(first)), str(fingerprint(second))
    assert changes(paths) == [("key", "trust root", "Create", None, one)]
    TrustState(fingerprint(first), second, sequence=5).save(paths.trust)
    spool(CONFIG, paths, "1.0.0")
    (paths.journal.with_name("spooled.json")).unlink()
    spool(CONFIG, paths, "1.0.0")
    assert changes(paths)[1:] == [("key", "trust root", "Update", one, other)]
    TrustState(fingerprint(first), first).save(paths.trust)  # as from an old backup
    spool(CONFIG, paths, "1.0.0")
    assert changes(paths)[2:] == [("key", "trust root", "Update", other, one)]
    for copy in paths.trust.iterdir():
        copy.write_bytes(b"damaged")
    spool(CONFIG, paths, "1.0.0")
    assert len(changes(paths)) == 3, "a state that nobody can read is for others to name"


def test_an_operators_look_at_the_sites_own_log_is_in_it_before_the_look(
    paths: SitePaths, writer: Callable[[], Popen[bytes]]
) -> None:
    def audit(*arguments: str) -> Result:
        return CliRunner().invoke(app, ["--site", str(paths.root), "audit", *arguments])

    writer()
    spool(CONFIG, paths, "1.0.0")
    found = json.loads(audit("verify", "--output", "json").stdout)
    assert found["size"] == 2, "the look is among the entries that are looked at"
    assert audit("report", "--output", "json", "--cache", str(paths.root / "cache")).exit_code == 0
    assert audit("prove", "0", "--output", "json").exit_code == 0
    assert audit("witness", "request", "--out", str(paths.root / "request")).exit_code == 0
    looks = [(kind, name, what) for kind, name, what, *_ in changes(paths)]
    assert looks == [
        ("audit_log", name, "Read") for name in ("verification", "report", "proof of entry 0", "request to a witness")
    ]
    copy = audit("verify", "--log", str(paths.audit_log), "--output", "json")
    assert (copy.exit_code, len(changes(paths))) == (0, 4), "a folder that is named is a copy: it has no writer"


def test_a_look_without_a_writer_goes_on_and_says_that_it_is_in_no_log(
    paths: SitePaths, writer: Callable[[], Popen[bytes]]
) -> None:
    writer()
    spool(CONFIG, paths, "1.0.0")
    before = logged(paths)
    paths.socket(AUDIT).unlink()
    result = CliRunner().invoke(app, ["--site", str(paths.root), "audit", "verify"])
    assert (result.exit_code, "this look is not in the log" in result.stderr) == (0, True)
    assert logged(paths) == before


def test_down_is_in_the_log_before_the_writer_is_stopped(
    paths: SitePaths, writer: Callable[[], Popen[bytes]], monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[tuple[str, str, str]] = []
    monkeypatch.setattr(power, "stop_services", lambda *_: seen.extend(entries(paths)))
    writer()
    assert power.down(paths) is None
    assert seen[-1] == ("down", "Stop", "Success")


def test_up_that_finds_no_secrets_is_entered_as_failed(paths: SitePaths, writer: Callable[[], Popen[bytes]]) -> None:
    with pytest.raises(SovereignError):
        power.up(paths, passphrase=lambda: b"", ready=lambda _ready, _of: None)
    writer()
    spool(CONFIG, paths, "1.0.0")
    assert entries(paths)[-1] == ("up", "Start", "Failure")


def test_the_removal_is_the_last_entry_of_the_log_that_goes_with_it(
    paths: SitePaths, writer: Callable[[], Popen[bytes]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(removal, "remove_accounts", lambda _paths: ())  # they are not ours to remove
    process = writer()
    last: list[dict[str, Any]] = []

    def stop(*_: object) -> None:
        """As the service manager does: it waits until the writer, which still settles what it entered, is gone."""
        process.terminate()
        process.wait(timeout=30)
        last.append(json.loads(logged(paths)[-1]))

    monkeypatch.setattr(removal, "stop_services", stop)
    gone = removal.uninstall(paths, LogFate(discard=True))
    assert gone.unlogged is None
    assert last[0]["unmapped"]["sovereign"]["step"] == "uninstall"
    assert "log: discarded" in last[0]["status_detail"]
    assert gone.log_head is not None
    assert (gone.log_head.origin, gone.log_head.size) == (CONFIG.log_origin, 2)  # folders, uninstall
    assert not paths.root.exists()


def test_a_removal_without_a_writer_says_that_it_is_not_logged(
    paths: SitePaths, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(removal, "remove_accounts", lambda _paths: ())
    gone = removal.uninstall(paths)
    assert gone.unlogged is not None
    assert gone.log_head is None
    assert not paths.root.exists()


def test_a_removal_does_not_wait_for_what_the_writer_laid_in_the_place_of_its_head(
    paths: SitePaths, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(removal, "remove_accounts", lambda _paths: ())
    paths.audit_log.mkdir()
    os.mkfifo(paths.audit_log / "checkpoint")
    with pytest.raises(NotAllowedError, match="cannot be read"):
        removal.uninstall(paths)
    assert removal.uninstall(paths, LogFate(discard=True)).log_head is None
    assert not paths.root.exists()


def forged(paths: SitePaths) -> bytes:
    """The answer to a step of the installation that this process puts in the operator's way."""
    taken = f"operator/{CONFIG.log_origin}/install/2"
    body = json.dumps({"entries": [{"id": taken, "event": EVENTS["install_step"][0]}]}).encode()
    with connect(paths.socket(AUDIT)) as connection:
        return ask(connection, "POST /append HTTP/1.1", body)


@pytest.mark.skipif(os.geteuid() != 0, reason="becoming another user needs root")
@pytest.mark.parametrize("service", [GATEWAY, ENGINE, "database"])
def test_no_service_puts_an_entry_in_the_operators_way_and_status_names_who_tried(
    paths: SitePaths, writer: Callable[[], Popen[bytes]], service: str
) -> None:
    writer()
    paths.socket(AUDIT).chmod(0o666)  # this writer runs as root, whose group is not the services'
    paths.socket(AUDIT).parent.chmod(0o755)
    assert as_uid(accounts().account(service).uid, lambda: forged(paths)).startswith(b"HTTP/1.1 403")
    assert spool(CONFIG, paths, "1.0.0") == 1
    assert entries(paths) == [("folders", "Install", "Success")]
    (warned,) = (w for w in site_status(paths).warnings if "not that user's to write" in w)
    assert f"refused 1 entry by user {accounts().user(service)} " in warned


def test_status_says_where_services_cannot_be_told_apart(paths: SitePaths) -> None:
    assert any("run as one user" in w for w in site_status(paths).warnings) == (os.geteuid() != 0)
    paths.users.write_text(json.dumps(dict.fromkeys(service_names(CONFIG), "daemon")))
    assert any(", ".join(service_names(CONFIG)) in w and "daemon" in w for w in site_status(paths).warnings)
