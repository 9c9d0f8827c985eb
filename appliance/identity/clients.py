"""The OIDC clients of the site's realm, as Keycloak represents them.

All of them have the same client scopes, so that every access token carries the same claims: audience
``sovereign-api``, ``groups`` (names, no path) and ``roles`` (the site's own, none of Keycloak's). No client has
direct grants or the implicit flow, and none may ask for offline tokens.
"""

from __future__ import annotations

import hashlib
import hmac
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping

    from appliance.site.config import SiteConfig
    from appliance.site.groups import ServiceClient

WEB_CLIENT = "sovereign-web"
CLI_CLIENT = "sovereign-cli"
EVENTS_CLIENT = "sovereign-events"
MAY_READ_EVENTS = "realm-management.view-events"
NAMES_CLIENT = "sovereign-names"
MAY_READ_NAMES = "realm-management.view-users"
AUDIENCE = "sovereign-api"
SCOPE = "sovereign"
ROLES_SCOPE = "sovereign-roles"
WEIGHT_ATTRIBUTE = "sovereign.weight"
"""Of a group: its people's share of an engine beside others'; site.yaml's ``groups.weight`` where no group has one."""
NAMES_ROLE = "auditor-names"
"""Of auditors who may see whom a pseudonym stands for."""
ROLES = ("auditor", NAMES_ROLE, "expert", "admin")

DEFAULT_SCOPES = ("basic", "acr", "profile", SCOPE, ROLES_SCOPE)
"""``basic`` carries sub and auth_time; ``roles`` and ``web-origins`` are left out: no audience but ours, no CORS."""

_CLOSED_FLOWS: Mapping[str, Any] = {
    "protocol": "openid-connect",
    "enabled": True,
    "bearerOnly": False,
    "consentRequired": False,
    "implicitFlowEnabled": False,
    "directAccessGrantsEnabled": False,
    "standardFlowEnabled": False,
    "serviceAccountsEnabled": False,
    "fullScopeAllowed": False,
    "redirectUris": [],
    "webOrigins": [],
    "protocolMappers": {},
    "defaultClientScopes": list(DEFAULT_SCOPES),
    "optionalClientScopes": [],
}


def web_client(config: SiteConfig) -> dict[str, Any]:
    """The page, through the gateway: confidential, authorization code with PKCE S256, back-channel logout."""
    gateway = config.gateway_url
    return {
        **_CLOSED_FLOWS,
        "name": "Assistant",
        "publicClient": False,
        "clientAuthenticatorType": "client-secret",
        "standardFlowEnabled": True,
        "rootUrl": gateway,
        "baseUrl": f"{gateway}/",
        "redirectUris": [f"{gateway}/auth/callback"],
        "attributes": {
            "pkce.code.challenge.method": "S256",
            "post.logout.redirect.uris": f"{gateway}/",
            "backchannel.logout.url": f"{gateway}/auth/backchannel-logout",
            "backchannel.logout.session.required": "true",
            "oauth2.device.authorization.grant.enabled": "false",
            "oidc.ciba.grant.enabled": "false",
        },
    }


def cli_client() -> dict[str, Any]:
    """The terminal: public, device authorization only, with PKCE on the device request."""
    return {
        **_CLOSED_FLOWS,
        "name": "Assistant in the terminal",
        "publicClient": True,
        "attributes": {
            "pkce.code.challenge.method": "S256",
            "oauth2.device.authorization.grant.enabled": "true",
            "oidc.ciba.grant.enabled": "false",
        },
    }


def service_client(client: ServiceClient) -> dict[str, Any]:
    """A program: client credentials only; what it may do follows from its service account's groups."""
    return {
        **_CLOSED_FLOWS,
        "name": client.id,
        "publicClient": False,
        "clientAuthenticatorType": "client-secret",
        "serviceAccountsEnabled": True,
        "defaultClientScopes": [*DEFAULT_SCOPES, "service_account"],  # Keycloak adds the last one by itself
        "attributes": {
            "oauth2.device.authorization.grant.enabled": "false",
            "oidc.ciba.grant.enabled": "false",
            "client_credentials.use_refresh_token": "false",
        },
    }


def events_client() -> dict[str, Any]:
    """Whoever brings Keycloak's events into the log: client credentials, one role, an hour a token."""
    return _reader("Audit log")


def names_client() -> dict[str, Any]:
    """Whoever reads names for auditors who may see them; only where ``shows_names``. As ``events_client``."""
    return _reader("Names for auditors")


def shows_names(config: SiteConfig) -> bool:
    """Whether anybody at the site may see names: a group carries the role."""
    return any(NAMES_ROLE in group.roles for group in config.groups)


def events_secret(web_secret: str) -> str:
    """The secret of ``EVENTS_CLIENT``, made of the page's: the gateway holds both, so nothing more is to be kept."""
    return _derived(web_secret, EVENTS_CLIENT)


def names_secret(web_secret: str) -> str:
    """The secret of ``NAMES_CLIENT``, as ``events_secret``."""
    return _derived(web_secret, NAMES_CLIENT)


def _derived(web_secret: str, client: str) -> str:
    return hmac.new(web_secret.encode(), client.encode(), hashlib.sha256).hexdigest()


def _reader(name: str) -> dict[str, Any]:
    """A client of the gateway's for one part of Keycloak's administration.

    Its tokens name no audience of ours, so they open no other door. It has the full scope of its one role, because
    Keycloak's administration judges by what a token says.
    """
    return {
        **_CLOSED_FLOWS,
        "name": name,
        "publicClient": False,
        "clientAuthenticatorType": "client-secret",
        "serviceAccountsEnabled": True,
        "fullScopeAllowed": True,
        "defaultClientScopes": ["basic", "roles", "service_account"],
        "attributes": {
            "access.token.lifespan": "3600",
            "oauth2.device.authorization.grant.enabled": "false",
            "oidc.ciba.grant.enabled": "false",
            "client_credentials.use_refresh_token": "false",
        },
    }


def built_in_clients(realm: str) -> dict[str, dict[str, Any]]:
    """Keycloak's own clients: the account pages stay (people change their password there), administration is shut.

    ``realm`` decides which management clients exist: ``master`` holds one per realm.
    """
    shut = {"enabled": False, "directAccessGrantsEnabled": False, "implicitFlowEnabled": False}
    pages = {"enabled": True, "directAccessGrantsEnabled": False, "implicitFlowEnabled": False}
    management = ("master-realm", "sovereign-realm") if realm == "master" else ("realm-management",)
    return {
        "admin-cli": dict(shut),
        "security-admin-console": dict(shut),
        "account": dict(pages),
        "account-console": {**pages, "attributes": {"pkce.code.challenge.method": "S256"}, "optionalClientScopes": []},
        **{name: {"directAccessGrantsEnabled": False, "serviceAccountsEnabled": False} for name in management},
    }


def client_scopes() -> dict[str, dict[str, Any]]:
    """The client scopes with the API's claims.

    Roles have a scope of their own: Keycloak applies a scope that names roles to people with one of them only, and the
    audience and the groups are everybody's.
    """
    shown = {"access.token.claim": "true", "id.token.claim": "true", "userinfo.token.claim": "false"}
    roles = {**shown, "claim.name": "roles", "jsonType.label": "String", "multivalued": "true"}
    return {
        SCOPE: _scope(
            audience=_mapper(
                "oidc-audience-mapper",
                {
                    "included.custom.audience": AUDIENCE,
                    "access.token.claim": "true",
                    "id.token.claim": "false",
                    "introspection.token.claim": "true",
                },
            ),
            groups=_mapper("oidc-group-membership-mapper", {**shown, "claim.name": "groups", "full.path": "false"}),
            weights=_mapper("oidc-usermodel-attribute-mapper", _of_groups(WEIGHT_ATTRIBUTE, "weights")),
        ),
        ROLES_SCOPE: {
            **_scope(roles=_mapper("oidc-usermodel-realm-role-mapper", roles)),
            "realmRoles": list(ROLES),
        },
    }


def _of_groups(attribute: str, claim: str) -> dict[str, str]:
    """A claim with every value that a person's groups have of ``attribute``; people cannot give it to themselves."""
    return {
        "user.attribute": attribute,
        "claim.name": claim,
        "jsonType.label": "String",
        "multivalued": "true",
        "aggregate.attrs": "true",
        "access.token.claim": "true",
        "id.token.claim": "false",
        "userinfo.token.claim": "false",
    }


def _scope(**mappers: dict[str, Any]) -> dict[str, Any]:
    return {
        "protocol": "openid-connect",
        "attributes": {"include.in.token.scope": "false", "display.on.consent.screen": "false"},
        "realmRoles": [],
        "protocolMappers": mappers,
    }


def _mapper(kind: str, config: Mapping[str, str]) -> dict[str, Any]:
    return {"protocol": "openid-connect", "protocolMapper": kind, "config": dict(config)}
