"""Steps that make the site answer: the service manager's files, the services themselves, the sign-in realm."""

from __future__ import annotations

from typing import TYPE_CHECKING

from appliance.identity.apply import apply_realm
from appliance.install.probe import answers
from appliance.install.runner import Advance, Step
from appliance.install.services import standby_services
from appliance.install.startup import prepare_runtime, start_services, startable, stop_services
from appliance.install.steps.context import digest
from appliance.install.supervision import choose_supervision
from appliance.install.timed import timed_commands
from appliance.install.vault import client_secret
from appliance.site.paths import GATEWAY
from appliance.site.secrets import write_private

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from appliance.install.steps.context import Context
    from appliance.install.vault import Vault
    from appliance.site.config import SiteConfig
    from appliance.site.paths import SitePaths


def service_steps(context: Context) -> tuple[Step, ...]:
    """Manager's files → the services behind the gateway → realm → gateway, which is ready only with the realm."""
    return (_supervision(context), _services(context), _realm(context), _gateway(context))


def _supervision(context: Context) -> Step:
    def files() -> Mapping[Path, str]:
        standby = standby_services(context.config, context.paths, context.accounts)
        config = context.config
        return choose_supervision(context.paths).files(
            (*context.services, *standby), config.name, timed_commands(config)
        )

    def work(_: Advance) -> Mapping[str, str]:
        manager, wanted = choose_supervision(context.paths), files()
        manager.drop(wanted)
        for path, text in wanted.items():
            write_private(path, text.encode())
            path.chmod(0o644)
        return {"kind": manager.kind}

    return Step(
        name="supervision",
        title="service definitions",
        after=("folders",),
        behind=("policies",),  # a refused change stops nothing that is served
        inputs=lambda: {str(path): digest(text.encode()) for path, text in files().items()},
        run=work,
        present=lambda: all(p.is_file() and p.read_text() == text for p, text in files().items()),
    )


def _services(context: Context) -> Step:
    """Whatever was installed anew is only in force after a restart, so everything is restarted."""
    inner = [
        s for s in startable(context.config, context.paths, context.services, context.release) if s.name != GATEWAY
    ]

    def work(advance: Advance) -> None:
        prepare_runtime(context.config, context.paths, context.accounts, context.vault)
        stop_services(context.paths, context.services)
        start_services(context.paths, inner, advance)

    return Step(
        name="services",
        title="services behind the gateway, each ready",
        after=("activate", "policies", "certificates", "audit-keys", "database", "supervision"),
        inputs=lambda: {s.name: s.user for s in inner},
        run=work,
        present=lambda: all(answers(s.probe) for s in inner),
    )


def _gateway(context: Context) -> Step:
    gateway = [s for s in context.services if s.name == GATEWAY]

    def work(advance: Advance) -> None:
        stop_services(context.paths, gateway)
        all_of_them = startable(context.config, context.paths, context.services, context.release)
        start_services(context.paths, all_of_them, advance)

    return Step(
        name="gateway",
        title="gateway, ready",
        after=("realm",),
        inputs=lambda: {s.name: s.user for s in gateway},
        run=work,
        present=lambda: all(answers(s.probe) for s in gateway),
    )


def _realm(context: Context) -> Step:
    def work(_: Advance) -> Mapping[str, str]:
        changes = configure_realm(context.config, context.paths, context.vault)
        return {"changes": str(len(changes))}

    return Step(
        name="realm",
        title="sign-in realm",
        after=("services",),
        inputs=lambda: {"site": context.config.model_dump_json()},
        run=work,
    )


def configure_realm(config: SiteConfig, paths: SitePaths, vault: Vault) -> tuple[str, ...]:
    """Bring the running Keycloak to the site file; what changed."""
    store = vault.store()
    secrets = {"sovereign-web": store.get("gateway/oidc_client_secret").decode()}
    secrets |= {c.id: store.get(client_secret(c.id)).decode() for c in config.service_clients}
    return apply_realm(
        config,
        admin_secret=store.get("identity/bootstrap_admin_secret").decode(),
        client_secrets=secrets,
        ca=paths.tls / "ca.pem" if config.tls.mode == "site-ca" else None,
    )
