"""A renewal on a host: new keys and certificates under the same authority, journaled, in the log, nothing else."""

from __future__ import annotations

import json
import os
import pwd
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from appliance.errors import UsageError
from appliance.install import renewal
from appliance.install.accounts import Accounts, accounts_for
from appliance.install.journal import Journal, read_journal
from appliance.install.layout import make_folders, site_folders
from appliance.install.runner import execute
from appliance.install.steps.secrets import SERVERS, certificates_step
from appliance.install.vault import Vault
from appliance.site.load import load_site
from appliance.site.paths import SitePaths
from tests.integration.install.test_operator_acts import EXAMPLE

if TYPE_CHECKING:
    from pathlib import Path

    from appliance.install.runner import Step

CONFIG = load_site(EXAMPLE)


class Watched:
    """Notes which steps ran."""

    def __init__(self) -> None:
        self.ran: list[str] = []

    def started(self, step: Step) -> None:
        self.ran.append(step.name)

    def advanced(self, step: Step, done: int, total: int) -> None: ...

    def finished(self, step: Step, seconds: float) -> None: ...

    def failed(self, step: Step) -> None: ...

    def skipped(self, step: Step) -> None: ...


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> SitePaths:
    """A site with certificates; its services are not started here, since what they show is what lies there."""
    paths = SitePaths(tmp_path / "site")
    me = pwd.getpwuid(os.geteuid()).pw_name  # a machine that never had a site has no users of one
    accounts = Accounts(dict.fromkeys(accounts_for(CONFIG).users, me))
    make_folders(site_folders(paths, accounts), accounts)
    paths.site_yaml.write_bytes(EXAMPLE.read_bytes())
    paths.users.write_text(json.dumps(dict(accounts.users)))
    paths.release("1.0.0").mkdir()
    (paths.release("1.0.0") / "release.json").write_text('{"version": "1.0.0"}')
    paths.current.symlink_to(paths.release("1.0.0"))
    vault = Vault(paths, lambda: b"")
    vault.create("file")

    journal = Journal.open(paths.journal)
    execute([replace(certificates_step(CONFIG, paths, vault), after=())], journal, Watched())
    journal.close()
    for name in ("site_services", "startable"):
        monkeypatch.setattr(renewal, name, lambda *_: ())
    for name in ("prepare_runtime", "spool", "choose_supervision", "start_services"):
        monkeypatch.setattr(renewal, name, lambda *_: None)
    return paths


def shown(paths: SitePaths) -> dict[str, x509.Certificate]:
    return {s: x509.load_pem_x509_certificate((paths.tls / f"{s}.pem").read_bytes()) for s in SERVERS}


def renew(paths: SitePaths) -> list[str]:
    watched = Watched()
    renewal.renew(paths, passphrase=lambda: b"", observer=watched, ready=lambda _done, _of: None)
    return watched.ran


def test_every_server_has_a_new_certificate_of_the_same_authority_and_its_key(site: SitePaths) -> None:
    before, authority = shown(site), (site.tls / "ca.pem").read_bytes()
    assert renew(site) == ["certificates"]
    after = shown(site)
    assert (site.tls / "ca.pem").read_bytes() == authority
    store = Vault(site, lambda: b"").store()
    for server in SERVERS:
        assert after[server].serial_number != before[server].serial_number
        after[server].verify_directly_issued_by(x509.load_pem_x509_certificate(authority))
        key = load_pem_private_key(store.get(f"{server}/tls.key"), None)
        assert key.public_key() == after[server].public_key()


def test_the_renewal_is_a_step_of_the_journal_and_an_installation_finds_it_done(site: SitePaths) -> None:
    renew(site)
    records = [(r.step, r.state) for r in read_journal(site.journal)]
    assert records == [("certificates", "started"), ("certificates", "done")] * 2
    journal, watched = Journal.open(site.journal), Watched()

    step = replace(certificates_step(CONFIG, site, Vault(site, lambda: b"")), after=())
    assert execute([step], journal, watched) == ()
    journal.close()


def test_a_site_without_certificates_of_its_own_is_refused(site: SitePaths) -> None:
    text = site.site_yaml.read_text()
    site.site_yaml.write_text(text + "\ntls: {mode: 'off'}\n")
    before = {path: path.read_bytes() for path in site.tls.iterdir()}
    with pytest.raises(UsageError, match="shows no certificates"):
        renew(site)
    assert {path: path.read_bytes() for path in site.tls.iterdir()} == before


def test_where_nothing_is_installed_nothing_is_renewed(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="nothing is installed"):
        renewal.renewable(SitePaths(tmp_path))
    assert not list(tmp_path.iterdir())
