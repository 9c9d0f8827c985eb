"""The operator's half: site file, waiver, installation, people."""

from __future__ import annotations

import json
import secrets
from typing import TYPE_CHECKING, Any

from demo.release import MODEL, OFFICER, WAIVER_REASON, fingerprint
from demo.workspace import sovereign, sovereign_json

if TYPE_CHECKING:
    from demo.workspace import Workspace

USERS = {"analyst": "analysts", "officer": "officers"}
SERVICE_CLIENT = "batch"
WAIVED = ("producer-verified", "conversion-closed")
_SITE_YAML = """\
# The demonstration's site: plain HTTP, on loopback only.
schema: 1
name: demo
listen:
  host: 127.0.0.1
  hostname: 127.0.0.1
  gateway_port: {ports[0]}
  identity_port: {ports[1]}
  management_port: {ports[2]}
  identity_management_port: {ports[3]}
  database_port: {ports[4]}
tls: {{mode: "off"}}
officers:
  - {{name: {officer}, public_key: keys/{officer}.pub}}
waivers: [waiver.json]
models:
  - {{name: {model}, context_tokens: 4096, memory_mib: 900, threads: 1}}
groups:
  - {{name: analysts, models: [{model}]}}
  - {{name: officers, models: [{model}], roles: [admin]}}
  - {{name: auditors, roles: [auditor]}}
service_clients:
  - {{id: {client}, groups: [analysts]}}
"""


def write_site(workspace: Workspace) -> None:
    """Write site.yaml, and have the officer sign the waiver that it names."""
    ports = range(workspace.port, workspace.port + 5)
    text = _SITE_YAML.format(ports=ports, officer=OFFICER, model=MODEL, client=SERVICE_CLIENT)
    workspace.site_yaml.write_text(text)
    sign_waiver(workspace)


def sign_waiver(workspace: Workspace) -> None:
    """The officer's signed, dated word that lets this unattested model in."""
    artifacts = sovereign_json("bundle", "inspect", workspace.bundle)["artifacts"]
    model = next(artifact for artifact in artifacts if artifact["name"] == MODEL)
    weights = model["files"]["model.gguf"]["digest"]
    about = ("--model", MODEL, "--digest", weights, "--days", "30", "--reason", WAIVER_REASON)
    waived = [word for check in WAIVED for word in ("--waives", check)]
    key = ("--key", workspace.keys / f"{OFFICER}.key", "--out", workspace.root / "waiver.json")
    sovereign("trust", "waive", *key, *about, *waived, passphrase=workspace.passphrase_file("keys"))


def install(workspace: Workspace) -> None:
    """Verify, import, install and start."""
    site = ("--site", workspace.site)
    sovereign(*site, "preflight", workspace.bundle, "--config", workspace.site_yaml)
    root = ("--root", fingerprint(workspace))
    sovereign(*site, "install", workspace.bundle, "--config", workspace.site_yaml, *root)


def import_people(workspace: Workspace) -> None:
    """Two people of different groups. Their passwords stay valid, which only a demonstration wants."""
    people = workspace.root / "users.csv"
    people.write_text("username,groups\n" + "".join(f"{name},{group}\n" for name, group in USERS.items()))
    passwords = {name: secrets.token_urlsafe(12) for name in USERS}
    given = "".join(f"{name},{password}\n" for name, password in passwords.items())
    chosen = workspace.write_private(workspace.root / "passwords.csv", given)
    sovereign("--site", workspace.site, "user", "import", people, "--permanent", chosen)
    handed = workspace.root / "service-client.secret"
    sovereign("--site", workspace.site, "client", "secret", SERVICE_CLIENT, "--out", handed)
    _write_facts(workspace, passwords, handed.read_text().strip())


def _write_facts(workspace: Workspace, passwords: dict[str, str], secret: str) -> None:
    facts: dict[str, Any] = {
        "url": workspace.url,
        "issuer": workspace.issuer,
        "site": str(workspace.site),
        "bundle": str(workspace.bundle),
        "browser_client": {"id": "sovereign-web"},
        "service_client": {"id": SERVICE_CLIENT, "secret": secret},
        "users": [
            {"name": name, "password": password, "groups": [USERS[name]]} for name, password in passwords.items()
        ],
    }
    workspace.write_private(workspace.facts, json.dumps(facts, indent=2) + "\n")
