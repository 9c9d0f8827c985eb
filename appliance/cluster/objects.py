"""Secrets and ConfigMaps of the assistant's pods: pure, so that equal sites give equal objects.

A pod reads what it needs under `/site`, as services on a host do, and its secrets as files (`CREDENTIALS_DIRECTORY`).
"""

from __future__ import annotations

import base64
import hashlib
import json
from typing import TYPE_CHECKING, Any

from appliance.install.database import EXTENSIONS, HBA, SETTINGS, SUPERUSER, creation, owned, password_changes

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

NAMESPACE = "sovereign"
Object = dict[str, Any]


def secret(name: str, files: Mapping[str, bytes]) -> Object:
    """A Secret with these files."""
    data = {file: base64.b64encode(content).decode() for file, content in sorted(files.items())}
    return {**_head("Secret", name), "type": "Opaque", "data": data}


def config_map(name: str, files: Mapping[str, bytes]) -> Object:
    """A ConfigMap with these text files."""
    return {**_head("ConfigMap", name), "data": {file: content.decode() for file, content in sorted(files.items())}}


def _head(kind: str, name: str) -> Object:
    labels = {"app.kubernetes.io/part-of": "sovereign"}
    return {
        "apiVersion": "v1",
        "kind": kind,
        "metadata": {"name": name, "namespace": NAMESPACE, "labels": labels},
    }


def database(passwords: Mapping[str, bytes], keycloak_schema: Sequence[str]) -> Object:
    """What makes the database and rules who enters it; ``passwords`` by role, the superuser's among them."""
    files = {
        "postgresql.conf": SETTINGS,
        "pg_hba.conf": HBA,
        "roles.sql": _lines(creation()),
        "passwords.sql": _lines(password_changes({SUPERUSER: passwords[SUPERUSER], **passwords}, _salt)),
        "sovereign.sql": _lines(EXTENSIONS["sovereign"]),
        "keycloak.sql": _lines(owned("keycloak", keycloak_schema)) if keycloak_schema else "",
    }
    return secret("postgresql", {name: text.encode() for name, text in files.items()})


def mark(*objects: Object) -> str:
    """A word that changes with the content of ``objects``; pods that carry it start anew with them."""
    return hashlib.sha256(json.dumps(objects, sort_keys=True).encode()).hexdigest()[:16]


def _salt(password: bytes) -> bytes:
    """Of the password itself: these are 32 random bytes, and another run must write the same verifier."""
    return hashlib.sha256(b"salt of " + password).digest()[:16]


def _lines(statements: Sequence[str]) -> str:
    return "".join(f"{statement}\n" for statement in statements)
