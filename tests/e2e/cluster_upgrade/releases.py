"""Two releases of the cluster: one with the Kubernetes before today's, and a newer one with today's and another model.

Both are described from `sources/` as it lies here. The older one is given the modules of that Kubernetes, whose digests
lie beside this file; the newer one gets a model that differs in how it is prompted: a delta need not carry its weights.
"""

from __future__ import annotations

import json
import shutil
from pathlib import Path

from airgap_bundle.build.cache import BuildCache
from airgap_bundle.build.release import build_release, lock_release
from airgap_bundle.build.stage import printed
from demo.release import MODEL
from tests.bundles import sign

REPOSITORY = Path(__file__).parents[3]
BEFORE, AFTER = "v1.36.2", "v1.36.3"
OTHER_MODEL = "gemma3-270m-curt"
_SUMS = Path(__file__).with_name(f"kube-{BEFORE.removeprefix('v')}.sum")
_PROMPT = ("answers briefly and truthfully", "answers in one sentence, and truthfully")


def older(folder: Path, root: bytes) -> Path:
    """The bundle of release 1.0.0, with the Kubernetes of ``BEFORE``; its description lies in ``folder`` as well."""
    sources = _sources(folder)
    _replace(sources / "cluster.yaml", AFTER, BEFORE)
    kube = sources / "go/kube"
    _replace(kube / "go.mod", AFTER.removeprefix("v1"), BEFORE.removeprefix("v1"))
    kept = [line for line in (kube / "go.sum").read_text().splitlines() if AFTER.removeprefix("v1") not in line]
    (kube / "go.sum").write_text("\n".join(sorted([*kept, *_SUMS.read_text().splitlines()])) + "\n")
    lock_release(sources / "cluster.yaml", cache=BuildCache.default(), stage=printed, relock=("kube",))
    return _built(folder, sources, root)


def newer(folder: Path, root: bytes) -> Path:
    """The bundle of release 1.1.0, with today's Kubernetes and ``OTHER_MODEL`` beside the one before."""
    sources = _sources(folder)
    model = sources / "models" / OTHER_MODEL
    shutil.copytree(sources / "models" / MODEL, model)
    record = json.loads((model / "record.json").read_text())
    (model / "record.json").write_text(json.dumps(record | {"name": OTHER_MODEL}))
    _replace(model / "chat_template.jinja", *_PROMPT)
    for name in ("release", "cluster"):
        _replace(sources / f"{name}.yaml", "version: 1.0.0\nnumber: 1\n", "version: 1.1.0\nnumber: 2\n")
        lock = json.loads((sources / f"{name}.lock").read_text())
        (sources / f"{name}.lock").write_text(json.dumps(lock | {"version": "1.1.0"}))
    described = (sources / "release.yaml").read_text()
    begin = described.index(f"  - kind: model\n    name: {MODEL}\n")
    end = described.index("\n\n", begin)
    again = (
        described[begin:end]
        .replace(f"name: {MODEL}\n", f"name: {OTHER_MODEL}\n")
        .replace(f"folder: models/{MODEL}\n", f"folder: models/{OTHER_MODEL}\n")
    )
    (sources / "release.yaml").write_text(f"{described[:end]}\n\n{again}{described[end:]}")
    for name in ("release", "cluster"):
        lock_release(sources / f"{name}.yaml", cache=BuildCache.default(), stage=printed)
    return _built(folder, sources, root)


def _sources(folder: Path) -> Path:
    """A tree like the repository's, of links, but for `sources`, which is a copy."""
    folder.mkdir(parents=True)
    for path in REPOSITORY.iterdir():
        if path.name not in {"sources", ".git"}:
            (folder / path.name).symlink_to(path)
    return Path(shutil.copytree(REPOSITORY / "sources", folder / "sources"))


def _built(folder: Path, sources: Path, root: bytes) -> Path:
    build_release(sources / "cluster.yaml", folder / "bundle", cache=BuildCache.default(), stage=printed)
    return sign(folder / "bundle", "architect", "builder", "release", roots={1: root})


def _replace(path: Path, old: str, new: str) -> None:
    text = path.read_text()
    assert old in text, f"{path} has no {old!r}"
    path.write_text(text.replace(old, new))
