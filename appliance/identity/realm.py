"""The realms a site wants, as plain data: what ``apply`` makes true and ``drift`` compares with.

A document has the sections below. ``snapshot`` reads a running Keycloak into the same shape.

    settings          fields of the realm itself
    required_actions  {alias: {enabled}}
    user_profile      {attribute: {required, permissions}}
    roles             {realm role: {composite}}
    default_roles     what every new user has: ``role`` or ``client.role``
    groups            {group: {realmRoles, clientRoles}}
    scopes            {client scope: {protocolMappers, realmRoles, …}}
    clients           {client id: representation}
    service_accounts  {client id: {groups, roles}}
    browser_flow      steps of sign-in, in order
    identity_providers, user_federation, people    closed lists: whatever else is found there is drift
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from appliance.identity.clients import (
    CLI_CLIENT,
    EVENTS_CLIENT,
    MAY_READ_EVENTS,
    MAY_READ_NAMES,
    NAMES_CLIENT,
    ROLES,
    WEB_CLIENT,
    built_in_clients,
    cli_client,
    client_scopes,
    events_client,
    names_client,
    service_client,
    shows_names,
    web_client,
)
from appliance.identity.keycloak_server import ADMIN_CLIENT, THEME

if TYPE_CHECKING:
    from appliance.site.config import SiteConfig

REALM = "sovereign"
MASTER = "master"

PASSWORD_POLICY = "length(12) and maxLength(128) and notUsername(undefined) and passwordHistory(5)"  # noqa: S105 - a rule
EVENTS_KEPT_DAYS = 90
"""How long Keycloak keeps events: what is not read into the log for longer is lost, and the log says so."""
_DAY = 86_400

Document = dict[str, Any]


def desired_realm(config: SiteConfig, *, login_theme: str | None = None) -> Document:
    """The site's realm. ``login_theme`` defaults to the release's own theme where the release has one."""
    theme = login_theme or ("sovereign" if THEME.is_dir() else None)
    named = shows_names(config)
    return {
        "settings": {**_settings(config), **({"loginTheme": theme} if theme else {})},
        "required_actions": {
            "UPDATE_PASSWORD": {"enabled": True},
            "CONFIGURE_TOTP": {"enabled": True},
            "idp_link": {"enabled": False},  # no account linking by its owner
            "UPDATE_PROFILE": {"enabled": False},
            "VERIFY_EMAIL": {"enabled": False},  # a site need not have mail
            "delete_account": {"enabled": False},
        },
        "user_profile": {name: _profile_attribute() for name in ("username", "email", "firstName", "lastName")},
        "roles": {name: {"composite": False} for name in ROLES},
        "default_roles": ["account.manage-account", "account.view-profile"],
        "groups": {group.name: {"realmRoles": sorted(set(group.roles)), "clientRoles": {}} for group in config.groups},
        "scopes": client_scopes(),
        "clients": {
            **built_in_clients(REALM),
            WEB_CLIENT: web_client(config),
            CLI_CLIENT: cli_client(),
            EVENTS_CLIENT: events_client(),
            **({NAMES_CLIENT: names_client()} if named else {}),
            **{client.id: service_client(client) for client in config.service_clients},
        },
        "service_accounts": {
            EVENTS_CLIENT: {"groups": [], "roles": [MAY_READ_EVENTS]},
            **({NAMES_CLIENT: {"groups": [], "roles": [MAY_READ_NAMES]}} if named else {}),
            **{client.id: {"groups": sorted(set(client.groups)), "roles": []} for client in config.service_clients},
        },
        "browser_flow": _browser_flow(),
        "identity_providers": {},
        "user_federation": {},
    }


def desired_master(config: SiteConfig) -> Document:
    """Keycloak's own realm: one service client, no people, nothing to sign in to."""
    return {
        "settings": {
            "enabled": True,
            "sslRequired": _ssl_required(config),
            "registrationAllowed": False,
            "resetPasswordAllowed": False,
            **_brute_force(),
            **_events(),
        },
        "clients": {
            **{name: {**rest, "enabled": False} for name, rest in built_in_clients(MASTER).items()},
            "master-realm": {"directAccessGrantsEnabled": False},
            "sovereign-realm": {"directAccessGrantsEnabled": False},
            ADMIN_CLIENT: {"serviceAccountsEnabled": True, "standardFlowEnabled": False, "publicClient": False},
        },
        "identity_providers": {},
        "user_federation": {},
        "people": {},
    }


def _settings(config: SiteConfig) -> dict[str, Any]:
    return {
        "enabled": True,
        "displayName": config.name,
        "sslRequired": _ssl_required(config),
        "registrationAllowed": False,
        "resetPasswordAllowed": False,
        "rememberMe": False,
        "verifyEmail": False,
        "loginWithEmailAllowed": False,
        "editUsernameAllowed": False,
        "userManagedAccessAllowed": False,
        "passwordPolicy": PASSWORD_POLICY,
        "defaultSignatureAlgorithm": "RS256",
        "accessTokenLifespan": 300,
        "accessCodeLifespan": 60,
        "accessCodeLifespanLogin": 1800,
        "accessCodeLifespanUserAction": 300,
        "oauth2DeviceCodeLifespan": 600,
        "oauth2DevicePollingInterval": 5,
        "ssoSessionIdleTimeout": 3600,
        "ssoSessionMaxLifespan": 36_000,
        "revokeRefreshToken": True,
        "refreshTokenMaxReuse": 0,
        "internationalizationEnabled": True,
        "supportedLocales": list(config.languages),
        "defaultLocale": config.languages[0],
        "browserFlow": "browser",
        "directGrantFlow": "direct grant",
        "clientAuthenticationFlow": "clients",
        "browserSecurityHeaders": {
            "xFrameOptions": "DENY",
            "contentSecurityPolicy": "frame-src 'none'; frame-ancestors 'none'; object-src 'none';",
        },
        **_brute_force(),
        **_events(),
    }


def _ssl_required(config: SiteConfig) -> str:
    """``all`` wherever people come by TLS; without it the site listens on loopback only."""
    return "all" if config.scheme == "https" else "none"


def _brute_force() -> dict[str, Any]:
    """Five wrong passwords lock for a minute, and longer with every further one: it slows guessing, not people."""
    return {
        "bruteForceProtected": True,
        "permanentLockout": False,
        "bruteForceStrategy": "MULTIPLE",
        "failureFactor": 5,
        "waitIncrementSeconds": 60,
        "maxFailureWaitSeconds": 900,
        "quickLoginCheckMilliSeconds": 500,
        "minimumQuickLoginWaitSeconds": 60,
        "maxDeltaTimeSeconds": 43_200,
    }


def _events() -> dict[str, Any]:
    return {
        "eventsEnabled": True,
        "eventsExpiration": EVENTS_KEPT_DAYS * _DAY,
        "eventsListeners": ["jboss-logging"],
        "adminEventsEnabled": True,
        "adminEventsDetailsEnabled": False,  # details would hold whole representations
        "attributes": {"adminEventsExpiration": str(EVENTS_KEPT_DAYS * _DAY)},
    }


def _profile_attribute() -> dict[str, Any]:
    """Nobody is asked for more than the operator gave, and who somebody is, only the operator edits."""
    return {"required": None, "permissions": {"view": ["admin", "user"], "edit": ["admin"]}}


def _browser_flow() -> list[dict[str, Any]]:
    """Keycloak's sign-in as shipped: the password step cannot be skipped, a second factor is asked for once set up."""
    return [
        {"step": "auth-cookie", "requirement": "ALTERNATIVE", "level": 0},
        {"step": "auth-spnego", "requirement": "DISABLED", "level": 0},
        {"step": "identity-provider-redirector", "requirement": "ALTERNATIVE", "level": 0},
        {"step": "forms", "requirement": "ALTERNATIVE", "level": 0},
        {"step": "auth-username-password-form", "requirement": "REQUIRED", "level": 1},
        {"step": "Browser - Conditional 2FA", "requirement": "CONDITIONAL", "level": 1},
        {"step": "conditional-user-configured", "requirement": "REQUIRED", "level": 2},
        {"step": "conditional-credential", "requirement": "REQUIRED", "level": 2},
        {"step": "auth-otp-form", "requirement": "ALTERNATIVE", "level": 2},
        {"step": "webauthn-authenticator", "requirement": "DISABLED", "level": 2},
        {"step": "auth-recovery-authn-code-form", "requirement": "DISABLED", "level": 2},
    ]
