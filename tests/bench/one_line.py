"""What a change of one line costs on media: the release after, the site's inventory, and the delta between the two."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import yaml

from airgap_bundle.build.release import build_release, lock_path
from airgap_bundle.build.stage import silent
from airgap_bundle.importer import import_release
from airgap_bundle.lock import dump_lock, load_lock
from airgap_bundle.media.delta import compare, write_delta
from airgap_bundle.media.inventory import take_inventory
from airgap_bundle.trust_state import fingerprint
from tests.bundles import NOW, root_bytes, sign

if TYPE_CHECKING:
    from pathlib import Path

    from airgap_bundle.build.cache import BuildCache

LINE = "# one line more\n"
_VERSION = "999.0.0"


def one_line_later(release: Path, folder: Path) -> Path:
    """A `release.yaml` in ``folder``: the release after that of ``release``, whose policy has one line more.

    Everything else is that of ``release``, in its place.
    """
    sources = release.parent.resolve()
    value: dict[str, Any] = yaml.safe_load(release.read_text())
    value |= {"version": _VERSION, "number": value["number"] + 1}
    folder.mkdir()
    for entry in sources.iterdir():
        if entry not in {sources / release.name, lock_path(sources / release.name)}:
            (folder / entry.name).symlink_to(entry)
    for artifact in value["artifacts"]:
        for key in {"requirements", "project"} & set(artifact):
            artifact[key] = str((sources / artifact[key]).resolve())
        if artifact["kind"] == "policy":
            policy = sources / artifact["file"]
            changed = folder / "changed" / policy.name
            changed.parent.mkdir()
            changed.write_text(policy.read_text() + LINE)
            artifact["file"] = f"changed/{policy.name}"
    later = folder / release.name
    later.write_text(yaml.safe_dump(value, sort_keys=False))
    lock_path(later).write_bytes(dump_lock(replace(load_lock(lock_path(release)), version=_VERSION)))
    return later


def delta_of_one_line(release: Path, bundle: Path, scratch: Path, cache: BuildCache) -> int:
    """Bytes that travel to a site which holds ``bundle``, sealed, of ``release``, for the release one line later."""
    trust, store = scratch / "trust", scratch / "store"
    import_release(bundle, trust, store, now=NOW, root_fingerprint=str(fingerprint(root_bytes())))
    held = take_inventory(trust, store, site="bench", active=None, now=NOW + timedelta(hours=1)).inventory
    later = one_line_later(release, scratch / "later")
    second = build_release(later, scratch / "second", cache=cache, stage=silent).folder
    sign(second, "architect", "builder", "release", now=NOW + timedelta(hours=2))
    announced = compare(second, held).carried
    write_delta(second, held, scratch / "delta")
    written = sum(path.stat().st_size for path in (scratch / "delta").rglob("*") if path.is_file())
    assert written == announced, f"{written} bytes were written where {announced} were announced"
    return written
