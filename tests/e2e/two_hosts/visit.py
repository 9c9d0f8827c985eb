"""Run on the administrator's side of the lab: people are made, one signs in by the page's own way and asks.

Arguments: the administrator's site, what to do (`people` or `ask`), a name, a password; a question to ask. Prints JSON.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

from appliance.identity.admin import administration
from appliance.identity.users import import_users
from appliance.identity.users_file import read_users
from appliance.install.vault import Vault
from appliance.site.load import load_site
from appliance.site.paths import SitePaths
from demo.visitor import Visitor


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
    with Visitor(config.gateway_url, name, password, ca=ca) as visitor:
        text, receipt = visitor.ask(asked[0])
    print(json.dumps({"text": text, "receipt": receipt}))


if __name__ == "__main__":
    main()
