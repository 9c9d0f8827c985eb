"""System users of the services: one each, so that no service can read another's state.

As root the users are made (group `sovereign` as everyone's primary group) and marked in their comment field; without
root every service runs as the installing user. Each engine has a user of its own too: what happens to one model's
loader must not reach another model's process. A registry outside the sites says which sites use the users: the last
site to leave removes those that an installer made, and only those.
"""

from __future__ import annotations

import grp
import hashlib
import json
import os
import pwd
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from appliance.install.process import Account, run
from appliance.site.load import load_site
from appliance.site.paths import AUDIT, DATABASE, GATEWAY, IDENTITY, SitePaths, engine_service, standby_service
from appliance.site.secrets import write_private

if TYPE_CHECKING:
    from collections.abc import Mapping

    from appliance.site.config import SiteConfig

GROUP = "sovereign"
MARK = "sovereign appliance service"
REGISTRY = Path("/var/lib/sovereign-sites")
_USERS = {DATABASE: "sovereign-db", IDENTITY: "sovereign-idp", AUDIT: "sovereign-audit", GATEWAY: "sovereign-gateway"}
_PREFIX = "sovereign-"


@dataclass(frozen=True)
class Accounts:
    """Which user each service runs as: ``{service: user name}``."""

    users: Mapping[str, str]

    def user(self, service: str) -> str:
        """User name of ``service``."""
        return self.users[service]

    def account(self, service: str) -> Account:
        """Numeric user and group of ``service``."""
        entry = pwd.getpwnam(self.users[service])
        return Account(entry.pw_uid, entry.pw_gid)

    @property
    def gid(self) -> int:
        """The group that all services share."""
        return pwd.getpwnam(next(iter(self.users.values()))).pw_gid


def service_names(config: SiteConfig) -> tuple[str, ...]:
    """Every service of the site, in start order."""
    return (DATABASE, AUDIT, IDENTITY, *(engine_service(m.name) for m in config.models), GATEWAY)


def standby_names(config: SiteConfig) -> tuple[str, ...]:
    """Services that run while a model is changed. Each has its engine's user: it is the same engine, for a while."""
    return tuple(standby_service(m.name) for m in config.models)


def accounts_for(config: SiteConfig) -> Accounts:
    """The users that an install by the present user gives the services."""
    if os.geteuid() != 0:
        me = pwd.getpwuid(os.geteuid()).pw_name
        return Accounts(dict.fromkeys((*service_names(config), *standby_names(config)), me))
    users = {name: _USERS.get(name) or _engine_user(name) for name in service_names(config)}
    return Accounts(users | {standby_service(m.name): users[engine_service(m.name)] for m in config.models})


def _engine_user(service: str) -> str:
    """A name that useradd takes (32 characters, no dots), whatever the model is called."""
    return f"{_PREFIX}engine-{hashlib.sha256(service.encode()).hexdigest()[:8]}"


def load_accounts(paths: SitePaths) -> Accounts:
    """The users recorded at install."""
    return Accounts(json.loads(paths.users.read_bytes()))


def make_accounts(config: SiteConfig, paths: SitePaths, registry: Path = REGISTRY) -> Accounts:
    """Record the site's users, and as root make those that are missing. Safe to repeat.

    Those of services that the installed site.yaml has stay in the record: until ``config`` is in force, which its
    models may keep it from, that is the site that runs.
    """
    accounts = accounts_for(config)
    running = accounts_for(load_site(paths.site_yaml)).users if paths.site_yaml.is_file() else {}
    write_private(paths.users, json.dumps({**running, **accounts.users}, indent=1).encode() + b"\n")
    if os.geteuid() == 0:
        _register(paths, registry)
        if not _group_exists(GROUP):
            run(["groupadd", "--system", GROUP])
        for user in sorted(set(accounts.users.values())):
            if not _user_exists(user):
                run(_useradd(user))
    return accounts


def accounts_present(config: SiteConfig, paths: SitePaths) -> bool:
    """Whether the record is there and every user in it exists."""
    if not paths.users.is_file():
        return False
    users = load_accounts(paths).users
    wanted = accounts_for(config).users
    return wanted.items() <= users.items() and all(_user_exists(user) for user in set(wanted.values()))


def other_sites(paths: SitePaths, registry: Path = REGISTRY) -> tuple[Path, ...]:
    """Roots of the other sites registered on this host."""
    found = (Path(json.loads(p.read_bytes())["root"]) for p in sorted(registry.glob("*.json")))
    return tuple(root for root in found if root != paths.root)


def remove_accounts(paths: SitePaths, registry: Path = REGISTRY) -> tuple[str, ...]:
    """Take the site off the registry; as its last one, remove the users that installers made. Their names."""
    if os.geteuid() != 0:
        return ()
    _registered(paths, registry).unlink(missing_ok=True)
    if other_sites(paths, registry):
        return ()
    removed = sorted(p.pw_name for p in pwd.getpwall() if _is_ours(p))
    for user in removed:
        run(["userdel", user])
    if _group_exists(GROUP) and not _members(GROUP):
        run(["groupdel", GROUP])
    if registry.is_dir() and not any(registry.iterdir()):
        registry.rmdir()
    return tuple(removed)


def _useradd(user: str) -> list[str]:
    shape = ["--system", "--no-create-home", "--home-dir", "/nonexistent", "--shell", "/usr/sbin/nologin"]
    return ["useradd", *shape, "--gid", GROUP, "--comment", MARK, user]


def _register(paths: SitePaths, registry: Path) -> None:
    registry.mkdir(mode=0o755, parents=True, exist_ok=True)
    write_private(_registered(paths, registry), json.dumps({"root": str(paths.root)}).encode() + b"\n")


def _registered(paths: SitePaths, registry: Path) -> Path:
    return registry / (hashlib.sha256(os.fsencode(paths.root)).hexdigest()[:12] + ".json")


def _user_exists(name: str) -> bool:
    try:
        pwd.getpwnam(name)
    except KeyError:
        return False
    return True


def _group_exists(name: str) -> bool:
    try:
        grp.getgrnam(name)
    except KeyError:
        return False
    return True


def _is_ours(user: pwd.struct_passwd) -> bool:
    """Also of a model that the site has no more, and under the name that an earlier version gave all engines."""
    return user.pw_gecos == MARK and user.pw_name.startswith(_PREFIX)


def _members(group: str) -> list[str]:
    entry = grp.getgrnam(group)
    return [*entry.gr_mem, *(p.pw_name for p in pwd.getpwall() if p.pw_gid == entry.gr_gid)]
