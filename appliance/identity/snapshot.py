"""Read a running realm into the shape of ``realm``'s documents. Only sections that are wanted are fetched.

Secrets are dropped here, before anything is compared, kept or printed.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from keycloak import KeycloakAdmin

    from appliance.identity.realm import Document

_SECRET_FIELDS = ("secret", "registrationAccessToken", "client.secret.creation.time")


def snapshot(admin: KeycloakAdmin, realm: str, wanted: Document) -> Document:
    """The realm as found; empty when it does not exist."""
    admin.change_current_realm("master")
    if not any(found["realm"] == realm for found in admin.get_realms()):
        return {}
    admin.change_current_realm(realm)
    return {section: _SECTIONS[section](admin, wanted) for section in wanted}


def without_secrets(representation: Mapping[str, Any]) -> dict[str, Any]:
    """A client's representation without what only Keycloak and the client may know."""
    kept = {k: v for k, v in representation.items() if k not in _SECRET_FIELDS}
    if isinstance(kept.get("attributes"), Mapping):
        kept["attributes"] = {k: v for k, v in kept["attributes"].items() if k not in _SECRET_FIELDS}
    return kept


def by_name(mappers: list[dict[str, Any]]) -> dict[str, Any]:
    """Protocol mappers keyed by name."""
    return {mapper["name"]: mapper for mapper in mappers}


def clients_by_id(admin: KeycloakAdmin) -> dict[str, dict[str, Any]]:
    """Every client of the current realm, with its mappers by name, without secrets."""
    return {
        found["clientId"]: {**without_secrets(found), "protocolMappers": by_name(found.get("protocolMappers", []))}
        for found in admin.get_clients()
    }


def groups_by_name(admin: KeycloakAdmin) -> dict[str, dict[str, Any]]:
    """Every top-level group with its role mappings; a subgroup shows under its path, since none is ever wanted."""
    found: dict[str, dict[str, Any]] = {}
    for summary in admin.get_groups(query={"briefRepresentation": "false"}):
        group = admin.get_group(summary["id"])
        found[group["name"]] = {
            "id": group["id"],
            "realmRoles": group.get("realmRoles", []),
            "clientRoles": group.get("clientRoles", {}),
        }
        for child in group.get("subGroups", []):
            found[child["path"]] = {"id": child["id"]}
    return found


def default_role_names(admin: KeycloakAdmin) -> list[str]:
    """What every new user is given: ``role`` or ``client.role``."""
    clients = {client["id"]: client["clientId"] for client in admin.get_clients()}
    composites = admin.get_role_composites_by_id(admin.get_default_realm_role_id())
    return sorted(f"{clients[r['containerId']]}.{r['name']}" if r["clientRole"] else r["name"] for r in composites)


def service_account(admin: KeycloakAdmin, client_uuid: str) -> dict[str, Any]:
    """Groups of a client's service account, and roles given to it directly (which none should have)."""
    user = admin.get_client_service_account_user(client_uuid)
    mappings = admin.get_all_roles_of_user(user["id"])
    roles = [r["name"] for r in mappings.get("realmMappings", []) if not r["name"].startswith("default-roles-")]
    roles += [f"{c}.{r['name']}" for c, m in mappings.get("clientMappings", {}).items() for r in m["mappings"]]
    groups = [group["name"] for group in admin.get_user_groups(user["id"])]
    return {"user": user["id"], "groups": groups, "roles": roles}


def _settings(admin: KeycloakAdmin, _wanted: Document) -> dict[str, Any]:
    return dict(admin.get_realm(str(admin.get_current_realm())))


def _required_actions(admin: KeycloakAdmin, _wanted: Document) -> dict[str, Any]:
    return {action["alias"]: action for action in admin.get_required_actions()}


def _user_profile(admin: KeycloakAdmin, _wanted: Document) -> dict[str, Any]:
    return {attribute["name"]: attribute for attribute in admin.get_realm_users_profile()["attributes"]}


def _roles(admin: KeycloakAdmin, _wanted: Document) -> dict[str, Any]:
    built_in = {"offline_access", "uma_authorization"}
    return {
        role["name"]: role
        for role in admin.get_realm_roles()
        if role["name"] not in built_in and not role["name"].startswith("default-roles-")
    }


def _default_roles(admin: KeycloakAdmin, _wanted: Document) -> list[str]:
    return default_role_names(admin)


def _scopes(admin: KeycloakAdmin, wanted: Document) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for scope in admin.get_client_scopes():
        if scope["name"] in wanted["scopes"]:
            roles = admin.connection.raw_get(
                f"admin/realms/{admin.get_current_realm()}/client-scopes/{scope['id']}/scope-mappings/realm"
            ).json()
            found[scope["name"]] = {
                **scope,
                "protocolMappers": by_name(scope.get("protocolMappers", [])),
                "realmRoles": [role["name"] for role in roles],
            }
    return found


def _service_accounts(admin: KeycloakAdmin, _wanted: Document) -> dict[str, Any]:
    return {c["clientId"]: service_account(admin, c["id"]) for c in admin.get_clients() if c["serviceAccountsEnabled"]}


def _browser_flow(admin: KeycloakAdmin, _wanted: Document) -> list[dict[str, Any]]:
    return [
        {
            "step": step.get("providerId", step["displayName"]),
            "requirement": step["requirement"],
            "level": step["level"],
        }
        for step in admin.get_authentication_flow_executions("browser")
    ]


def _identity_providers(admin: KeycloakAdmin, _wanted: Document) -> dict[str, Any]:
    return {provider["alias"]: {"enabled": provider["enabled"]} for provider in admin.get_idps()}


def _user_federation(admin: KeycloakAdmin, _wanted: Document) -> dict[str, Any]:
    stores = admin.get_components(query={"type": "org.keycloak.storage.UserStorageProvider"})
    return {store["name"]: {"providerId": store["providerId"]} for store in stores}


def _people(admin: KeycloakAdmin, _wanted: Document) -> dict[str, Any]:
    return {user["username"]: {"enabled": user["enabled"]} for user in admin.get_users({})}


_SECTIONS: Mapping[str, Callable[[KeycloakAdmin, Document], Any]] = {
    "settings": _settings,
    "required_actions": _required_actions,
    "user_profile": _user_profile,
    "roles": _roles,
    "default_roles": _default_roles,
    "groups": lambda admin, _: groups_by_name(admin),
    "scopes": _scopes,
    "clients": lambda admin, _: clients_by_id(admin),
    "service_accounts": _service_accounts,
    "browser_flow": _browser_flow,
    "identity_providers": _identity_providers,
    "user_federation": _user_federation,
    "people": _people,
}
