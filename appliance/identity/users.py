"""People of the site's realm: import from a file, and list. Idempotent: who is there keeps their password.

The import yields each person as soon as they are done, so that a one-time password is in the caller's hands even when
the next person fails: it exists nowhere else.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from appliance.errors import DeploymentError, UsageError
from appliance.identity.account_source import LISTINGS, Pages
from appliance.identity.passwords import one_time_password
from appliance.identity.realm import REALM

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from keycloak import KeycloakAdmin

    from appliance.identity.users_file import FileUser


@dataclass(frozen=True)
class Imported:
    """What became of one person of the file. ``password`` is set when a one-time password was made."""

    username: str
    outcome: Literal["created", "changed", "unchanged"]
    groups: tuple[str, ...]
    password: str | None = None

    def __repr__(self) -> str:
        return f"Imported({self.username!r}, {self.outcome!r})"


@dataclass(frozen=True)
class Person:
    """A person as listed."""

    username: str
    groups: tuple[str, ...]
    enabled: bool
    must_change_password: bool


def import_users(
    admin: KeycloakAdmin, users: Sequence[FileUser], *, permanent: Mapping[str, str] | None = None
) -> Iterator[Imported]:
    """Create who is missing, and give everybody exactly the file's groups.

    ``permanent`` holds passwords that need no change at first sign-in, for new people only; it is meant for
    demonstrations. Groups and passwords are checked before the first change: raises ``DeploymentError`` when Keycloak
    lacks a group, ``UsageError`` when ``permanent`` lacks a new person.
    """
    admin.change_current_realm(REALM)
    group_ids = _group_ids(admin, users)
    existing = {user.username: admin.get_user_id(user.username) for user in users}
    if permanent is not None:
        for user in users:
            if existing[user.username] is None and user.username not in permanent:
                raise UsageError(f"no password is given for {user.username}", "add a line to the file of passwords")
    for user in users:
        found = existing[user.username]
        if found is None:
            yield _create(admin, user, permanent)
        else:
            yield _update(admin, user, found, group_ids)


def list_users(admin: KeycloakAdmin) -> tuple[Person, ...]:
    """Everybody, by user name. One request per group and per page, however many people there are."""
    admin.change_current_realm(REALM)
    groups: dict[str, list[str]] = {}
    for group in admin.get_groups():
        for member in admin.get_group_members(group["id"], {"briefRepresentation": "true"}):
            groups.setdefault(member["username"], []).append(group["name"])
    people = admin.get_users({})
    return tuple(
        Person(
            username=user["username"],
            groups=tuple(sorted(groups.get(user["username"], ()))),
            enabled=user["enabled"],
            must_change_password="UPDATE_PASSWORD" in user.get("requiredActions", ()),
        )
        for user in sorted(people, key=lambda user: str(user["username"]))
    )


def find_user(admin: KeycloakAdmin, username: str) -> str:
    """Keycloak's id of the person, the ``sub`` of their tokens. Raises ``UsageError`` when there is nobody."""
    admin.change_current_realm(REALM)
    found: str | None = admin.get_user_id(username)
    if found is None:
        raise UsageError(f"there is no user {username}", "`sovereign user list` shows everybody")
    return found


def every_user_id(admin: KeycloakAdmin) -> tuple[str, ...]:
    """Keycloak's ids of everybody in the realm."""
    admin.change_current_realm(REALM)
    return tuple(str(user["id"]) for user in admin.get_users({}))


def every_account(admin: KeycloakAdmin) -> Iterator[tuple[str, str]]:
    """Id and name of every account in the realm, people's first, then programs'; some come twice.

    Raises ``UnavailableError`` for a list that makes no sense.
    """
    admin.change_current_realm(REALM)
    for asked in LISTINGS:
        pages = Pages(asked)
        while not pages.over:
            yield from pages.take(admin.get_users(pages.query))


def every_name(admin: KeycloakAdmin) -> tuple[str, ...]:
    """What people of the realm are called: account, first and last names, a word each and in one."""
    admin.change_current_realm(REALM)
    found: set[str] = set()
    for user in admin.get_users({}):
        for field in ("username", "firstName", "lastName", "email"):
            name = str(user.get(field) or "")
            found |= {name, *name.split()} - {""}
    return tuple(sorted(found))


def remove_user(admin: KeycloakAdmin, user_id: str) -> None:
    """Delete the account, and with it the only thing that leads from a name to a pseudonym."""
    admin.change_current_realm(REALM)
    admin.delete_user(user_id)


def _group_ids(admin: KeycloakAdmin, users: Sequence[FileUser]) -> dict[str, str]:
    ids = {group["name"]: group["id"] for group in admin.get_groups()}
    missing = sorted({group for user in users for group in user.groups} - set(ids))
    if missing:
        raise DeploymentError(
            f"keycloak lacks the group {', '.join(missing)}", "run `sovereign up`: it applies site.yaml"
        )
    return ids


def _create(admin: KeycloakAdmin, user: FileUser, permanent: Mapping[str, str] | None) -> Imported:
    password = one_time_password() if permanent is None else permanent[user.username]
    credential = {"type": "password", "value": password, "temporary": permanent is None}
    admin.create_user(
        {
            "username": user.username,
            "enabled": True,
            **_fields(user),
            "groups": [f"/{group}" for group in user.groups],
            "credentials": [credential],
        }
    )
    return Imported(user.username, "created", user.groups, password if permanent is None else None)


def _update(admin: KeycloakAdmin, user: FileUser, user_id: str, group_ids: Mapping[str, str]) -> Imported:
    have = {group["name"]: group["id"] for group in admin.get_user_groups(user_id)}
    found = admin.get_user(user_id)
    fields = {name: value for name, value in _fields(user).items() if found.get(name) != value}
    if fields:
        admin.update_user(user_id, {**found, **fields})
    for name in user.groups:
        if name not in have:
            admin.group_user_add(user_id, group_ids[name])
    for name, group in have.items():
        if name not in user.groups:
            admin.group_user_remove(user_id, group)
    changed = fields or set(have) != set(user.groups)
    return Imported(user.username, "changed" if changed else "unchanged", user.groups)


def _fields(user: FileUser) -> dict[str, Any]:
    given = {"email": user.email, "firstName": user.first, "lastName": user.last}
    return {name: value for name, value in given.items() if value is not None}
