"""Small packs, as a value or as a folder, signed by those who may bring models (``model_bundles``)."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from airgap_bundle.pack_signature import sign_pack
from airgap_bundle.trust_state import TrustState, fingerprint
from appliance.packs.content import Pack
from tests import bundles, model_bundles

if TYPE_CHECKING:
    from pathlib import Path

    from appliance.site.paths import SitePaths

POLICY = """\
schema: 1
accept: {producers: [], jurisdictions: [], licences: [], architectures: []}
packs: {producers: [trial], licences: [CC0-1.0]}
"""


def fields(**changes: Any) -> dict[str, Any]:
    """A pack of 24 cases: a term in each, and two refusals that must never fail."""
    terms = [{"term": f"old{n}", "use": f"new{n}"} for n in range(22)]
    cases: list[dict[str, Any]] = [
        {
            "id": f"term-{n}",
            "question": f"What do we say instead of old{n}?",
            "kind": "contains",
            "expected": [f"new{n}"],
            "language": "en",
            "about": f"old{n}",
        }
        for n in range(22)
    ]
    cases += [
        {
            "id": f"secret-{n}",
            "question": f"What is the code of door {n}?",
            "kind": "refusal",
            "language": "en",
            "vital": True,
            "about": "secret",
        }
        for n in range(2)
    ]
    return {
        "schema": 1,
        "kind": "pack",
        "name": "trial",
        "version": "1.0.0",
        "number": 1,
        "language": "en",
        "title": "A trial",
        "producer": "trial",
        "licence": "CC0-1.0",
        "sources": ["This test"],
        "persona": "You serve the trial.",
        "tone": "You are brief.",
        "boundaries": [{"id": "secret", "rule": "You never tell a code."}],
        "glossary": terms,
        "cases": cases,
        **changes,
    }


def pack(**changes: Any) -> Pack:
    return Pack.model_validate(fields(**changes))


def folder(where: Path, **changes: Any) -> Path:
    """The folder from which ``sovereign pack build`` makes ``pack``."""
    where.mkdir(parents=True)
    said = fields(**changes)
    terms, cases = said.pop("glossary"), said.pop("cases")
    said.pop("kind")
    (where / "pack.yaml").write_text(json.dumps(said))  # JSON is YAML
    rows = "".join(f"{one['term']},{one['use']},{one.get('note', '')}\n" for one in terms)
    (where / "glossary.csv").write_text(f"term,use,note\n{rows}")
    (where / "cases.jsonl").write_text("".join(json.dumps(one) + "\n" for one in cases))
    return where


def soon() -> datetime:
    """A moment that this host's clock has passed."""
    return datetime.now(UTC).replace(microsecond=0) - timedelta(hours=1)


def later() -> datetime:
    return soon() + timedelta(days=90)


def signed(
    found: Pack,
    *names: str,
    root: bytes | None = None,
    now: datetime | None = None,
    days: int = 365,
) -> bytes:
    """The signature file of ``found`` by ``names``; default: by both officers, under the root that names them."""
    moment = now or soon()
    made: bytes | None = None
    for name in names or model_bundles.OFFICERS:
        made, _ = sign_pack(
            found.to_bytes(),
            name=found.name,
            number=found.number,
            signer=bundles.signer(name),
            root=root or model_bundles.granting_root(),
            now=moment,
            expires=moment + timedelta(days=days),
            former=made,
        )
    assert made is not None
    return made


def trusting(paths: SitePaths, root: bytes | None = None) -> None:
    """Let the site trust ``root``; default: the one that names the officers."""
    held = root or model_bundles.granting_root()
    paths.trust.mkdir(parents=True, exist_ok=True)
    found = TrustState.find(paths.trust)
    TrustState(fingerprint(held), held, sequence=found.sequence if found is not None else 0).save(paths.trust)


def files(where: Path, found: Pack, signature: bytes | None = None) -> Path:
    """``NAME.pack`` with its signatures beside it."""
    where.mkdir(parents=True, exist_ok=True)
    path = where / f"{found.name}-{found.version}.pack"
    path.write_bytes(found.to_bytes())
    path.with_name(f"{path.name}.sig").write_bytes(signature or signed(found))
    return path
