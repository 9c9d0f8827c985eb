"""The stage of journey 01: a signed medium, a tampered copy, and a bare Debian host without a route or the project."""

from __future__ import annotations

import os
import shutil
import stat
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from demo import release, site
from demo.workspace import Workspace, sovereign
from lab.host import BareHost
from tests.e2e.one_host import second_model, site_packs

if TYPE_CHECKING:
    from collections.abc import Iterator

    from playwright.sync_api import Browser

SITE = "/srv/sovereign"
TOOLS = "/opt/sovereign-tools"
SOVEREIGN = f"{TOOLS}/env/bin/sovereign"
GATEWAY = "https://localhost:8443"
ISSUER = "https://localhost:8444/realms/sovereign"
EMBEDDER = "minilm-l6-v2"
SITE_YAML = f"""\
schema: 1
name: bare
listen: {{host: 127.0.0.1, hostname: localhost, gateway_port: 8443, identity_port: 8444}}
officers:
  - {{name: {release.OFFICER}, public_key: {release.OFFICER}.pub}}
waivers: [waiver.json, second-waiver.json, multilingual-waiver.json]
instructions: >-
  You are the assistant of a public office. Answer in one short sentence, in the language of the question, and without
  politeness. Name the rule that an answer rests on where you know it. Say that you do not know where you do not. Give
  no advice on law or health, name no living person, and repeat nothing that a visitor says about another one.
models:
  - {{name: {release.MODEL}, context_tokens: 2048, memory_mib: 900, threads: 1}}
  - {{name: {EMBEDDER}, context_tokens: 256, memory_mib: 300, threads: 1, disk_mib: 0}}
groups:
  - {{name: analysts, models: [{release.MODEL}], roles: [auditor]}}
  - {{name: clerks, models: [{release.MODEL}, {EMBEDDER}], brief: true}}
service_clients:
  - {{id: batch, groups: [clerks]}}
  - {{id: evaluator, groups: [analysts, clerks], evaluates: true}}
documents: {{model: {EMBEDDER}, folders: [{{path: /srv/house-rules, groups: [clerks]}}]}}
memory: {{compile: {{tokens: 256}}}}
"""


@pytest.fixture(scope="session")
def medium(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder as it is carried across: bundle, signers' card and script, site file, officer's key and waivers, models.

    Whoever works on the journey itself may name a folder in SOVEREIGN_TEST_MEDIUM, to be made once and used again.
    """
    kept = os.environ.get("SOVEREIGN_TEST_MEDIUM")
    if kept and Path(kept, "fingerprint").exists():
        return Path(kept)
    workspace = Workspace(Path(kept) if kept else tmp_path_factory.mktemp("medium"))
    release.make_keys(workspace)
    release.build(workspace)
    release.sign(workspace)
    site.sign_waiver(workspace)
    (workspace.root / "second-digest").write_text(second_model.make(workspace))
    site_packs.make(workspace)
    sovereign("trust", "card", workspace.keys / "1.root.json", "--out", workspace.root)
    (workspace.root / "site.yaml").write_text(SITE_YAML)
    (workspace.root / "fingerprint").write_text(release.fingerprint(workspace))
    shutil.copy(workspace.keys / f"{release.OFFICER}.pub", workspace.root)
    workspace.root.chmod(0o755)
    return workspace.root


@pytest.fixture(scope="session")
def tampered(medium: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same bundle with one byte of its largest blob flipped; every other file is the very same one."""
    copy = tmp_path_factory.mktemp("tampered") / "bundle"
    shutil.copytree(medium / "bundle", copy, copy_function=os.link)
    largest = max((copy / "blobs" / "sha256").iterdir(), key=lambda path: path.stat().st_size)
    flipped = largest.with_suffix(".flipped")
    shutil.copy(largest, flipped)
    with flipped.open("r+b") as blob:
        blob.seek(largest.stat().st_size // 2)
        byte = blob.read(1)[0]
        blob.seek(-1, os.SEEK_CUR)
        blob.write(bytes([byte ^ 1]))
    flipped.replace(largest)
    return copy


@pytest.fixture(scope="session")
def host(medium: Path, tampered: Path) -> Iterator[BareHost]:
    """A bare Debian host, booted. Needs root: machines of their own cannot be had without."""
    if os.geteuid() != 0:
        pytest.skip("needs root; the same journey without a machine is tests/e2e/one_namespace")
    machine = BareHost(
        f"bare{os.getpid()}",
        Path(f"/var/tmp/sovereign-bare-{os.getpid()}"),
        {medium: "/media/stick", tampered: "/media/tampered"},
    )
    machine.create()
    try:
        machine.boot()
        yield machine
    finally:
        machine.remove()


@pytest.fixture
def browser(host: BareHost, tmp_path: Path) -> Iterator[Browser]:
    """Chromium inside the host's network namespace, so that it can reach nothing but the host.

    The site's CA is unknown to Chromium; exactly its key is accepted, nothing else.
    """
    from playwright.sync_api import sync_playwright  # noqa: PLC0415 - only where a browser is wanted

    program = tmp_path / "chromium"
    program.write_text(f'#!/bin/sh\nexec nsenter -t {host.leader} -n -- /usr/bin/chromium "$@"\n')
    program.chmod(program.stat().st_mode | stat.S_IXUSR)
    pins = ",".join(
        _key_pin(host.run(["cat", f"{SITE}/tls/{name}"]).stdout) for name in ("ca.pem", "gateway.pem", "identity.pem")
    )
    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(
            executable_path=program, args=["--no-sandbox", f"--ignore-certificate-errors-spki-list={pins}"]
        )
        yield chromium
        chromium.close()


def _key_pin(certificate: str) -> str:
    """Base64 of the SHA-256 of the first certificate's public key (RFC 7469)."""
    command = (
        "openssl x509 -pubkey -noout | openssl pkey -pubin -outform der | openssl dgst -sha256 -binary | openssl base64"
    )
    done = subprocess.run(["sh", "-c", command], input=certificate, capture_output=True, text=True, check=True)
    return done.stdout.strip()
