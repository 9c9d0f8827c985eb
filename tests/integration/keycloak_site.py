"""A site's identity for tests: real PostgreSQL, real Keycloak behind a site CA, the realm applied; and a form login."""

from __future__ import annotations

import contextlib
import html
import os
import re
import shutil
import ssl
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Self
from urllib.parse import parse_qs, urljoin, urlsplit

import httpx

from appliance.identity.admin import administration
from appliance.identity.apply import apply_realm
from appliance.identity.realm import REALM
from appliance.install.ca import create_authority, issue, utc_now
from appliance.site.config import SiteConfig
from appliance.site.paths import SitePaths
from tests.integration import processes
from tests.ports import free_port

if TYPE_CHECKING:
    from collections.abc import Iterator

    from keycloak import KeycloakAdmin

CLIENT_SECRETS: Final = {"sovereign-web": "web-client-secret-of-tests", "batch": "batch-client-secret-of-tests"}
PASSWORD: Final = "correct-horse-battery"


@dataclass(frozen=True)
class KeycloakSite:
    """A running realm. ``folder/tls`` holds ``gateway.pem`` and ``gateway.key`` for a test's own gateway."""

    config: SiteConfig
    paths: SitePaths
    pid: int
    admin_secret: str = processes.BOOTSTRAP_SECRET

    @property
    def ca(self) -> Path:
        """The site CA's certificate."""
        return self.paths.tls / "ca.pem"

    @property
    def trust(self) -> ssl.SSLContext:
        """Trust in the site's CA and nobody else."""
        return ssl.create_default_context(cafile=str(self.ca))

    def async_http(self) -> httpx.AsyncClient:
        """A client as the gateway has one."""
        return httpx.AsyncClient(verify=self.trust, trust_env=False, timeout=60)

    def apply(self, config: SiteConfig | None = None) -> tuple[str, ...]:
        """Apply the realm of ``config``, the site's own unless given."""
        return apply_realm(
            config or self.config, admin_secret=self.admin_secret, client_secrets=CLIENT_SECRETS, ca=self.ca
        )

    @contextlib.contextmanager
    def admin(self) -> Iterator[KeycloakAdmin]:
        """An administrative connection to the site's realm."""
        with administration(self.config, secret=self.admin_secret, ca=self.ca) as admin:
            admin.change_current_realm(REALM)
            yield admin

    def ensure_user(self, name: str, *groups: str, password: str = PASSWORD) -> str:
        """A person with a password of their own, in ``groups``; the value is their Keycloak id."""
        with self.admin() as admin:
            credential = {"type": "password", "value": password, "temporary": False}
            new = {"username": name, "enabled": True, "credentials": [credential]}
            user = admin.get_user_id(name) or admin.create_user(new)
            for group in groups:
                admin.group_user_add(user, admin.get_group_by_path(f"/{group}")["id"])
            return str(user)


class SignInPage:
    """A person's browser, as far as Keycloak's pages need one: cookies, redirects, forms."""

    def __init__(self, site: KeycloakSite) -> None:
        self._http = httpx.Client(verify=site.trust, trust_env=False, timeout=60)
        self.answer: httpx.Response | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._http.close()

    @property
    def text(self) -> str:
        """The page shown now."""
        assert self.answer is not None
        return self.answer.text

    def open(self, url: str, *, stop_at: str | None = None) -> Self:
        """Go to ``url`` and follow redirects, but not to addresses that begin with ``stop_at``."""
        return self._follow(self._http.get(url), stop_at)

    def submit(self, *, stop_at: str | None = None, **fields: str) -> Self:
        """Fill in and send the page's form; its hidden fields go along."""
        form = re.search(r'<form[^>]*action="([^"]+)".*?</form>', self.text, re.DOTALL)
        assert form is not None, self.text
        assert self.answer is not None
        hidden = re.findall(r'<input[^>]*type="hidden"[^>]*>', form.group(0))
        values = {n: v for n, v in map(_name_and_value, hidden) if n}
        url = urljoin(str(self.answer.url), html.unescape(form.group(1)))
        return self._follow(self._http.post(url, data={**values, **fields}), stop_at)

    def sign_in(self, username: str, password: str = PASSWORD, *, stop_at: str | None = None) -> Self:
        """Send Keycloak's sign-in form."""
        return self.submit(username=username, password=password, stop_at=stop_at)

    @property
    def arrived_with(self) -> dict[str, str]:
        """Query of the address at which following stopped."""
        assert self.answer is not None
        query = parse_qs(urlsplit(self.answer.headers["location"]).query)
        return {name: values[0] for name, values in query.items()}

    def _follow(self, answer: httpx.Response, stop_at: str | None) -> Self:
        while answer.is_redirect:
            target = urljoin(str(answer.url), answer.headers["location"])
            if stop_at is not None and target.startswith(stop_at):
                break
            answer = self._http.get(target)
        self.answer = answer
        return self


def _name_and_value(tag: str) -> tuple[str, str]:
    name, value = re.search(r'name="([^"]*)"', tag), re.search(r'value="([^"]*)"', tag)
    return (name.group(1) if name else "", html.unescape(value.group(1)) if value else "")


def site_document(**listen: int) -> dict[str, Any]:
    """A small site with people, auditors and one program."""
    return {
        "schema": 1,
        "name": "test-site",
        "listen": listen,
        "models": [{"name": "gemma3-270m"}],
        "groups": [
            {"name": "analysts", "models": ["gemma3-270m"]},
            {"name": "auditors", "roles": ["auditor"]},
            {"name": "programs", "models": ["gemma3-270m"]},
        ],
        "service_clients": [{"id": "batch", "groups": ["programs"]}],
    }


@contextlib.contextmanager
def running_site() -> Iterator[KeycloakSite]:
    """Start everything, apply the realm, and stop everything at the end."""
    files = processes.keycloak_files()
    folder = Path(tempfile.mkdtemp(prefix="kc-", dir="/tmp"))
    folder.chmod(0o711)  # PostgreSQL's uid passes through
    try:
        ports = ("gateway", "identity", "management", "identity_management", "database")
        config = SiteConfig.model_validate(site_document(**{f"{p}_port": free_port() for p in ports}))
        paths = _prepare(folder, config)
        _database_with_schema(files, config, paths, folder / "pg")
        with _services(files, config, paths, folder / "pg") as pid:
            site = KeycloakSite(config, paths, pid)
            site.apply()
            yield site
    finally:
        shutil.rmtree(folder)


def _prepare(folder: Path, config: SiteConfig) -> SitePaths:
    paths = SitePaths(folder / "site")
    for wanted in (paths.tls, paths.data("identity"), paths.log("identity").parent):
        wanted.mkdir(parents=True)
    authority = create_authority(config.name, (config.listen.hostname,), utc_now())
    (paths.tls / "ca.pem").write_bytes(authority.certificate)
    for server in ("identity", "gateway"):
        issued = issue(authority, server, (config.listen.hostname,), utc_now())
        (paths.tls / f"{server}.pem").write_bytes(issued.chain)
        (paths.tls / f"{server}.key").write_bytes(issued.key)
    return paths


@contextlib.contextmanager
def _services(files: processes.KeycloakFiles, config: SiteConfig, paths: SitePaths, database: Path) -> Iterator[int]:
    with (
        processes.postgresql(database, config.listen.database_port),
        processes.keycloak(config, paths, files, paths.tls / "identity.key") as pid,
    ):
        yield pid


def _database_with_schema(files: processes.KeycloakFiles, config: SiteConfig, paths: SitePaths, folder: Path) -> None:
    """Fill ``folder`` with a database whose schema exists; the first run ever makes it, which halves later starts."""
    if not files.database.exists():
        with _services(files, config, paths, folder):
            pass
        partial = files.database.with_suffix(f".partial-{os.getpid()}")
        shutil.copytree(folder, partial)
        with contextlib.suppress(OSError):  # a concurrent run kept its own first
            partial.rename(files.database)
        shutil.rmtree(partial, ignore_errors=True)
        return
    shutil.copytree(files.database, folder)
    if os.geteuid() == 0:
        for path in (folder, *folder.rglob("*")):
            os.chown(path, processes.NOBODY, processes.NOBODY)
