"""The steps of ``apply`` for the realm itself, its roles, groups, sign-in flow and sources of people.

Every step takes a ``Section`` that differs, mends it, and returns one line for each thing it changed.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from appliance.identity.differences import compare_section
from appliance.identity.section import Section, fields_of, merged

if TYPE_CHECKING:
    from keycloak import KeycloakAdmin


def apply_settings(section: Section) -> list[str]:
    """Fields of the realm itself."""
    realm = str(section.admin.get_current_realm())
    section.admin.update_realm(realm, merged(section.found, section.wanted))
    return [f"settings changed ({fields_of(compare_section(section.wanted, section.found, 'settings'), 'settings')})"]


def apply_roles(section: Section) -> list[str]:
    """Realm roles: plain ones, so that none contains another."""
    changes = []
    for name, wanted, found, _ in section.differing():
        if found is not None:
            section.admin.delete_realm_role(name)  # a composite of unknown content is not worth mending
        section.admin.create_realm_role({"name": name, **wanted})
        changes.append(f"role {name}: {'made anew' if found is not None else 'created'}")
    for name, _ in section.foreign():
        section.admin.delete_realm_role(name)
        changes.append(f"role {name}: removed")
    return changes


def apply_default_roles(section: Section) -> list[str]:
    """What every new user has; whatever else was added there is taken away."""
    admin = section.admin
    default = admin.get_default_realm_role_id()
    clients = {client["clientId"]: client["id"] for client in admin.get_clients()}
    missing = [_role(admin, clients, name) for name in section.wanted if name not in section.found]
    extra = [_role(admin, clients, name) for name in section.found if name not in section.wanted]
    default_name = admin.get_realm_role_by_id(default)["name"]
    if missing:
        admin.add_composite_realm_roles_to_role(default_name, missing)
    if extra:
        admin.remove_composite_realm_roles_to_role(default_name, extra)
    return [f"default roles changed (now {', '.join(section.wanted)})"]


def apply_groups(section: Section) -> list[str]:
    """Groups and the realm roles they carry."""
    admin = section.admin
    changes = []
    for name, wanted, found, fields in section.differing():
        if found is None:
            admin.create_group({"name": name})
            found = {"id": admin.get_group_by_path(f"/{name}")["id"], "realmRoles": [], "clientRoles": {}}  # noqa: PLW2901 - as found now
        _mend_group_roles(admin, wanted, found)
        changes.append(f"group {name}: {f'changed ({fields})' if fields else 'created'}")
    for name, found in section.foreign():
        admin.delete_group(found["id"])
        changes.append(f"group {name}: removed")
    return changes


def apply_required_actions(section: Section) -> list[str]:
    """Which actions people may be asked for, or may start."""
    changes = []
    for alias, wanted, found, _ in section.differing():
        section.admin.update_required_action(alias, merged(found or {"alias": alias}, wanted))
        changes.append(f"required action {alias}: {'on' if wanted['enabled'] else 'off'}")
    return changes


def apply_user_profile(section: Section) -> list[str]:
    """Attributes of people: none required, edited by the operator only."""
    profile = section.admin.get_realm_users_profile()
    profile["attributes"] = [
        _without_none(merged(attribute, section.wanted.get(attribute["name"], {})))
        for attribute in profile["attributes"]
    ]
    section.admin.update_realm_users_profile(profile)
    return ["user profile changed"]


def apply_browser_flow(section: Section) -> list[str]:
    """Requirements of the sign-in steps. A step that was added or removed is named as drift and not guessed at."""
    wanted = {step["step"]: step["requirement"] for step in section.wanted}
    changes = []
    for execution in section.admin.get_authentication_flow_executions("browser"):
        step = execution.get("providerId", execution["displayName"])
        if step in wanted and execution["requirement"] != wanted[step]:
            section.admin.update_authentication_flow_executions(
                {**execution, "requirement": wanted[step]}, flow_alias="browser"
            )
            changes.append(f"sign-in step {step}: {wanted[step]}")
    return changes


def remove_identity_providers(section: Section) -> list[str]:
    """No other identity provider vouches for people here."""
    for alias, _ in section.foreign():
        section.admin.delete_idp(alias)
    return [f"identity provider {alias}: removed" for alias, _ in section.foreign()]


def remove_user_federation(section: Section) -> list[str]:
    """No other store of people is asked."""
    for _, found in section.foreign():
        section.admin.delete_component(found["id"])
    return [f"user federation {name}: removed" for name, _ in section.foreign()]


def _mend_group_roles(admin: KeycloakAdmin, wanted: Any, found: Any) -> None:
    missing = set(wanted["realmRoles"]) - set(found["realmRoles"])
    extra = set(found["realmRoles"]) - set(wanted["realmRoles"])
    if missing:
        admin.assign_group_realm_roles(found["id"], [admin.get_realm_role(role) for role in sorted(missing)])
    if extra:
        admin.delete_group_realm_roles(found["id"], [admin.get_realm_role(role) for role in sorted(extra)])
    for client, roles in found["clientRoles"].items():
        uuid = admin.get_client_id(client)
        if uuid is not None:
            admin.delete_group_client_roles(found["id"], uuid, [admin.get_client_role(uuid, role) for role in roles])


def _role(admin: KeycloakAdmin, clients: dict[str, str], name: str) -> dict[str, Any]:
    """A role by the name of ``snapshot.default_role_names``: ``role`` or ``client.role`` (role names hold no dot)."""
    client, _, role = name.rpartition(".")
    return admin.get_client_role(clients[client], role) if client else admin.get_realm_role(role)


def _without_none(attribute: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in attribute.items() if value is not None}
