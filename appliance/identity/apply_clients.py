"""The steps of ``apply`` for client scopes, clients, their secrets and their service accounts."""

from __future__ import annotations

import hmac
import json
from typing import TYPE_CHECKING, Any

from keycloak.exceptions import KeycloakDeleteError, KeycloakPostError, raise_error_from_response

from appliance.identity.section import Section, merged
from appliance.identity.snapshot import service_account

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from keycloak import KeycloakAdmin

_OWN_ENDPOINTS = ("protocolMappers", "defaultClientScopes", "optionalClientScopes", "realmRoles")
"""Fields that an update of the representation ignores: each has calls of its own."""


def apply_scopes(section: Section) -> list[str]:
    """Client scopes with the API's claims: their mappers, and the realm roles that tokens may show."""
    changes = []
    for name, wanted, found, fields in section.differing():
        uuid = found["id"] if found else section.admin.create_client_scope({"name": name, **_plain(wanted)})
        if found:
            section.admin.update_client_scope(uuid, merged(_plain(found), _plain(wanted)))
        _mend_scope_mappers(section.admin, uuid, wanted, found or {})
        _mend_scope_roles(section.admin, uuid, wanted, found or {})
        changes.append(f"client scope {name}: {f'changed ({fields})' if fields else 'created'}")
    return changes


def apply_clients(section: Section) -> list[str]:
    """Clients: made or mended; a client the site file does not name is removed together with its secret."""
    changes = []
    for name, wanted, found, fields in section.differing():
        if found is None:
            section.admin.create_client({"clientId": name, **_plain(wanted), **_scopes_of(wanted)})
            changes.append(f"client {name}: created")
            continue
        # Keycloak keeps the secret when none is sent.
        section.admin.update_client(found["id"], merged(_plain(found), _plain(wanted)))
        _mend_client_scopes(section.admin, wanted, found)
        if "protocolMappers" in wanted:
            for mapper in found["protocolMappers"].values():
                section.admin.remove_client_mapper(found["id"], mapper["id"])
        changes.append(f"client {name}: changed ({fields})")
    for name, found in section.foreign():
        section.admin.delete_client(found["id"])
        changes.append(f"client {name}: removed")
    return changes


def apply_client_secrets(admin: KeycloakAdmin, secrets: Mapping[str, str]) -> list[str]:
    """Secrets of confidential clients of the current realm; the line says that one changed, never what it is."""
    changes = []
    for name, secret in secrets.items():
        uuid = admin.get_client_id(name)
        if uuid is None:
            continue
        client = admin.get_client(uuid)
        if not hmac.compare_digest(str(client.get("secret", "")).encode(), secret.encode()):
            admin.update_client(uuid, {**client, "secret": secret})
            changes.append(f"client {name}: secret set")
    return changes


def apply_service_accounts(section: Section) -> list[str]:
    """Groups of service accounts, and no role beside what the groups carry, but those that read events or names."""
    admin = section.admin
    changes = []
    for name, wanted, _, fields in section.differing():
        uuid = str(admin.get_client_id(name))
        found = service_account(admin, uuid)
        for group in sorted(set(wanted["groups"]) - set(found["groups"])):
            admin.group_user_add(found["user"], admin.get_group_by_path(f"/{group}")["id"])
        for group in sorted(set(found["groups"]) - set(wanted["groups"])):
            admin.group_user_remove(found["user"], admin.get_group_by_path(f"/{group}")["id"])
        _remove_direct_roles(admin, found["user"])
        _give_roles(admin, found["user"], wanted["roles"])
        changes.append(f"service account {name}: changed ({fields or 'groups'})")
    return changes


def _mend_scope_mappers(admin: KeycloakAdmin, uuid: str, wanted: Mapping[str, Any], found: Mapping[str, Any]) -> None:
    have = found.get("protocolMappers", {})
    for name, mapper in wanted["protocolMappers"].items():
        if name in have:
            admin.update_mapper_in_client_scope(uuid, have[name]["id"], merged(have[name], mapper))
        else:
            admin.add_mapper_to_client_scope(uuid, {"name": name, **mapper})
    for name, mapper in have.items():
        if name not in wanted["protocolMappers"]:
            admin.delete_mapper_from_client_scope(uuid, mapper["id"])


def _mend_scope_roles(admin: KeycloakAdmin, uuid: str, wanted: Mapping[str, Any], found: Mapping[str, Any]) -> None:
    path = f"admin/realms/{admin.get_current_realm()}/client-scopes/{uuid}/scope-mappings/realm"
    have = set(found.get("realmRoles", ()))
    missing = [admin.get_realm_role(role) for role in wanted["realmRoles"] if role not in have]
    extra = [admin.get_realm_role(role) for role in sorted(have - set(wanted["realmRoles"]))]
    if missing:
        raise_error_from_response(admin.connection.raw_post(path, data=json.dumps(missing)), KeycloakPostError, [204])
    if extra:
        answer = admin.connection.raw_delete(path, data=json.dumps(extra))
        raise_error_from_response(answer, KeycloakDeleteError, [204])


def _mend_client_scopes(admin: KeycloakAdmin, wanted: Mapping[str, Any], found: Mapping[str, Any]) -> None:
    scopes = {scope["name"]: scope["id"] for scope in admin.get_client_scopes()}
    client = found["id"]
    calls = {
        "defaultClientScopes": (admin.add_client_default_client_scope, admin.delete_client_default_client_scope),
        "optionalClientScopes": (admin.add_client_optional_client_scope, admin.delete_client_optional_client_scope),
    }
    for field, (add, remove) in calls.items():
        if field not in wanted:
            continue
        # Removals first: a scope cannot be default and optional at once.
        for name in sorted(set(found[field]) - set(wanted[field])):
            remove(client, scopes[name])
        for name in sorted(set(wanted[field]) - set(found[field])):
            add(client, scopes[name], {})


def _remove_direct_roles(admin: KeycloakAdmin, user: str) -> None:
    mappings = admin.get_all_roles_of_user(user)
    extra = [r for r in mappings.get("realmMappings", []) if not r["name"].startswith("default-roles-")]
    if extra:
        admin.delete_realm_roles_of_user(user, extra)
    for mapping in mappings.get("clientMappings", {}).values():
        admin.delete_client_roles_of_user(user, mapping["id"], mapping["mappings"])


def _give_roles(admin: KeycloakAdmin, user: str, roles: Sequence[str]) -> None:
    """Roles of clients, each named ``client.role``."""
    for name in roles:
        client, _, role = name.partition(".")
        uuid = str(admin.get_client_id(client))
        admin.assign_client_role(user, uuid, [admin.get_client_role(uuid, role)])


def _plain(representation: Mapping[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in representation.items() if key not in _OWN_ENDPOINTS}


def _scopes_of(representation: Mapping[str, Any]) -> dict[str, Any]:
    """Creation, unlike an update, takes the client's scopes."""
    return {k: representation[k] for k in ("defaultClientScopes", "optionalClientScopes") if k in representation}
