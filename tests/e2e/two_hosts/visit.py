"""Run on the administrator's side of the lab: people are made, one signs in by the page's own way and asks.

Arguments: the administrator's site, what to do (`people`, `ask`, `look-up`, `bring`, `talks` or `erase`), a name, a
password; a question to ask, or to look up in documents; or a group, a file's name and its content to bring. It prints
JSON.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from appliance.cli.restore_erasures import erase_again_on_cluster
from appliance.cluster.backup.databases import PORT
from appliance.cluster.backup.restored import Doors
from appliance.cluster.backup.sockets import audit_socket, database_socket, keycloak_address
from appliance.cluster.reach import Reach
from appliance.cluster.standing import standing
from appliance.gateway.pseudonyms import subject_of
from appliance.identity.admin import administration
from appliance.identity.users import find_user, import_users
from appliance.identity.users_file import read_users
from appliance.install.vault import Vault
from appliance.site.load import load_site
from appliance.site.paths import SitePaths
from demo.visitor import Visitor

if TYPE_CHECKING:
    from appliance.site.config import SiteConfig


def main() -> None:
    """Do what the arguments say."""
    root, act, name, password, *asked = sys.argv[1:]
    paths = SitePaths(Path(root))
    config, ca = load_site(paths.administered), paths.tls / "ca.pem"
    if act == "people":
        secret = Vault(paths, lambda: b"").store().get("identity/bootstrap_admin_secret").decode()
        with administration(config, secret=secret, ca=ca) as admin:
            listed = f"username,groups\n{name},{asked[0]}\n".encode()
            people = read_users(listed, name="users.csv", known_groups=[group.name for group in config.groups])
            done = list(import_users(admin, people, permanent={name: password}))
        print(json.dumps([person.username for person in done]))
        return
    if act == "erase":
        print(json.dumps(erase(paths, config, name)))
        return
    with Visitor(config.gateway_url, name, password, ca=ca) as visitor:
        if act == "talks":
            print(json.dumps(visitor.conversations()))
            return
        if act == "bring":
            group, called, content = asked
            print(json.dumps(visitor.bring(group, called, content.encode())))
            return
        text, receipt = visitor.ask(asked[0], documents=act == "look-up")
    print(json.dumps({"text": text, "receipt": receipt}))


def erase(paths: SitePaths, config: SiteConfig, name: str) -> str:
    """Erase a person as a restore does; the pseudonym."""
    known, store = standing(paths), Vault(paths, lambda: b"").store()
    reach, host = Reach(known.described.cluster, known.source.parent), known.described.state_host
    secret, ca = store.get("identity/bootstrap_admin_secret").decode(), paths.tls / "ca.pem"
    with administration(config, secret=secret, ca=ca) as admin:
        subject = subject_of(find_user(admin, name), store.get("gateway/pseudonym_key"))
    with (
        audit_socket(reach, host) as audit,
        database_socket(reach, host) as database,
        keycloak_address(reach) as keycloak,
    ):
        doors, nobody = Doors(audit, database, PORT, keycloak, config, store), frozenset[str]()
        erase_again_on_cluster(doors, frozenset({subject}), nobody, nobody)
    return subject


if __name__ == "__main__":
    main()
