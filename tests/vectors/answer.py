"""This implementation's answer to one vector: `python -m tests.vectors.answer GIVEN FOLDER` prints it as JSON.

`verify` is the shipped command line, `sovereign bundle verify --output json`; what has no command of its own (an import
without an installation, a statement, an archive, a key file) is the library's function. README.md tells the form.
"""

from __future__ import annotations

import io
import json
import sys
import tempfile
from contextlib import redirect_stderr, redirect_stdout, suppress
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer.main

from airgap_bundle import keys
from airgap_bundle.archive import extract
from airgap_bundle.digest import Digest, sha256
from airgap_bundle.errors import BundleError, VerificationError
from airgap_bundle.importer import import_release
from airgap_bundle.metadata import parse_time
from airgap_bundle.sign import collect_bundle
from airgap_bundle.sign_models import collect_into_models
from airgap_bundle.signing.request import parse_request
from airgap_bundle.statement import verify_statement
from airgap_bundle.store_record import Record
from airgap_bundle.trust_state import TrustState, fingerprint
from appliance.cli.main import app
from appliance.site.paths import SitePaths
from tests.bundles import tree

if TYPE_CHECKING:
    from collections.abc import Callable

Answer = dict[str, Any]


def _trust(given: Answer, folder: Path) -> TrustState | None:
    """What the site knows; None at first use."""
    found = given["site"]["trust"]
    if found is None:
        return None
    root = (folder / found["root"]).read_bytes()
    release = found["release_digest"]
    return TrustState(
        pinned=fingerprint(root),
        root=root,
        versions=found["versions"],
        release_number=found["release_number"],
        release_digest=None if release is None else Digest.parse(release),
        min_release=found["min_release"],
        clock=None if found["clock"] is None else parse_time(found["clock"]),
        models_digest=Digest.parse(found["models_digest"]) if found.get("models_digest") else None,
    )


@cache
def _command() -> Any:
    """The `sovereign` command, built once: a hundred vectors ask it in one process."""
    return typer.main.get_command(app)


def _verify(given: Answer, folder: Path, site: Path) -> Answer:
    trust = _trust(given, folder)
    if trust is not None:
        place = SitePaths(site).trust
        place.mkdir(parents=True)
        trust.save(place)
    typed = given["site"]["root_fingerprint"]
    pin = [] if typed is None else ["--root-fingerprint", typed]
    kind = ["--models"] if given["operation"] == "verify-models" else []
    command = ["--site", str(site), "bundle", "verify", str(folder / "bundle"), "--at", given["now"], *pin, *kind]
    out = io.StringIO()
    with suppress(VerificationError), redirect_stdout(out), redirect_stderr(io.StringIO()):
        _command()([*command, "--output", "json"], standalone_mode=False)
    return _verdict(json.loads(out.getvalue())["checks"])


def _verdict(checks: list[dict[str, str]]) -> Answer:
    fresh = next(check["status"] for check in checks if check["name"] == "freshness")
    failed = next((check for check in checks if check["status"] == "fail" and check["name"] != "freshness"), None)
    if failed is None:
        return {"verdict": "accepted", "freshness": fresh}
    return {"verdict": "refused", "error": failed["error"], "check": failed["name"], "freshness": fresh}


def _import(given: Answer, folder: Path, site: Path) -> Answer:
    trust, store = site / "trust", site / "store"
    known = _trust(given, folder)
    if known is not None:
        trust.mkdir(parents=True)
        known.save(trust)
    for held in given["site"]["releases"]:
        path = store / "releases" / f"{held['version']}.json"
        path.parent.mkdir(parents=True, exist_ok=True)
        release, nobody = Digest.parse(held["release"]), sha256(b"")
        path.write_bytes(Record(held["version"], held["number"], nobody, release, nobody, ()).to_bytes())
    before = tree(site)
    typed, now = given["site"]["root_fingerprint"], parse_time(given["now"])
    try:
        import_release(folder / "bundle", trust, store, now=now, root_fingerprint=typed)
    except VerificationError as error:
        checks = [] if error.report is None else [c.name for c in error.report.checks if c.status == "fail"]
        found = {"verdict": "refused", "error": type(error).__name__, "changed": tree(site) != before}
        return {**found, "check": checks[0] if checks else None}
    return {"verdict": "accepted", "changed": tree(site) != before}


def _statement(given: Answer, folder: Path, _site: Path) -> Answer:
    known = [keys.load_public(folder / path) for path in given["signers"]]
    _payload, name = verify_statement((folder / "statement.json").read_bytes(), given["payload_type"], known)
    return {"verdict": "accepted", "signer": name}


def _archive(_given: Answer, folder: Path, site: Path) -> Answer:
    out = site / "out"
    with (folder / "archive.tar").open("rb") as stream:
        extract(stream, out)
    members = {
        path.relative_to(out).as_posix(): "folder" if path.is_dir() else str(sha256(path.read_bytes()))
        for path in out.rglob("*")
    }
    return {"verdict": "accepted", "members": members}


def _request(_given: Answer, folder: Path, _site: Path) -> Answer:
    parse_request((folder / "request.json").read_bytes())
    return {"verdict": "accepted"}


def _collect(given: Answer, folder: Path, _site: Path) -> Answer:
    bundle, response = folder / "bundle", (folder / "response.json").read_bytes()
    before = tree(bundle)
    try:
        collect = collect_into_models if given["operation"] == "collect-models" else collect_bundle
        collect(bundle, [response], now=parse_time(given["now"]))
    except BundleError as error:
        return {"verdict": "refused", "error": type(error).__name__, "changed": tree(bundle) != before}
    return {"verdict": "accepted", "changed": tree(bundle) != before}


def _public_key(_given: Answer, folder: Path, _site: Path) -> Answer:
    return {"verdict": "accepted", "signer": keys.load_public(folder / "signer.pub").name}


OPERATIONS: dict[str, Callable[[Answer, Path, Path], Answer]] = {
    "verify": _verify,
    "verify-models": _verify,
    "import": _import,
    "statement": _statement,
    "archive": _archive,
    "public-key": _public_key,
    "request": _request,
    "collect": _collect,
    "collect-models": _collect,
}


def answer(given: Answer, folder: Path) -> Answer:
    """The verdict on the files in ``folder``, under what ``given`` says."""
    with tempfile.TemporaryDirectory() as scratch:
        site = Path(scratch, "site")
        site.mkdir()
        try:
            return OPERATIONS[given["operation"]](given, folder, site)
        except BundleError as error:
            return {"verdict": "refused", "error": type(error).__name__}


if __name__ == "__main__":
    sys.stdout.write(json.dumps(answer(json.loads(Path(sys.argv[1]).read_bytes()), Path(sys.argv[2]))) + "\n")
