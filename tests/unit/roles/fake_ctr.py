"""A containerd that keeps its images in a JSON file: what `ctr images …` does, for tests of its caller.

Named by FAKE_CONTAINERD. An import keeps the names of the archive's index and refuses an archive that lacks a blob.
"""

from __future__ import annotations

import json
import os
import sys
import tarfile
from pathlib import Path
from typing import Any

STORE = Path(os.environ["FAKE_CONTAINERD"])


def read() -> dict[str, Any]:
    return dict(json.loads(STORE.read_text())) if STORE.exists() else {"images": {}, "blobs": []}


def import_archive(state: dict[str, Any]) -> None:
    held: dict[str, bytes] = {}
    with tarfile.open(fileobj=sys.stdin.buffer, mode="r|") as archive:
        for entry in archive:
            opened = archive.extractfile(entry)
            assert opened is not None
            held[entry.name] = opened.read()
    for descriptor in json.loads(held["index.json"])["manifests"]:
        manifest = json.loads(held[f"blobs/sha256/{descriptor['digest'].removeprefix('sha256:')}"])
        for part in (manifest["config"], *manifest["layers"]):
            assert f"blobs/sha256/{part['digest'].removeprefix('sha256:')}" in held, "a blob is missing"
        name = descriptor["annotations"]["io.containerd.image.name"]
        state["images"][name] = {"digest": descriptor["digest"], "labels": {}}
    state["blobs"].append(sorted(held))


def main(arguments: list[str]) -> None:
    assert arguments[:3] == ["--namespace", "k8s.io", "images"]
    state = read()
    match arguments[3:]:
        case ["list"]:
            print("REF TYPE DIGEST SIZE PLATFORMS LABELS")
            for name, image in sorted(state["images"].items()):
                labels = ",".join(f"{k}={v}" for k, v in sorted(image["labels"].items())) or "-"
                kind = "application/vnd.oci.image.manifest.v1+json"
                print(f"{name} {kind} {image['digest']} 74.9 MiB linux/amd64 {labels}")
        case ["import", "--local", "-"]:
            import_archive(state)
        case ["tag", name, alias]:
            assert alias not in state["images"], "already exists"
            state["images"][alias] = {"digest": state["images"][name]["digest"], "labels": {}}
        case ["label", name, *labels]:
            for label in labels:
                key, value = label.split("=", 1)
                state["images"][name]["labels"].pop(key, None)
                if value:
                    state["images"][name]["labels"][key] = value
        case _:
            sys.exit(f"unknown: {arguments}")
    STORE.write_text(json.dumps(state))


if __name__ == "__main__":
    main(sys.argv[1:])
