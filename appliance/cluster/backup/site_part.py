"""What a backup of a cluster holds of the administrator's machine: the site's files there, and what the store held.

    cluster/, packs/, policies/, tls/, trust/   as they lie in the site root
    state/                              what was decided about packs, and what left of the site's learning
    given/                              the site file and what it names, but for the key that enters the hosts

Left out, besides what a host's backup leaves out: the key of ssh, which is the administrator's and not the site's, and
all that is made out of the bundle.
"""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING

from airgap_bundle.archive import Entry, write_tar
from airgap_bundle.errors import UnsafeNameError
from airgap_bundle.names import check_path
from airgap_bundle.store import Store
from appliance.errors import UsageError
from appliance.install.backup.folder import new_folder
from appliance.install.backup.restoring import staged_site
from appliance.install.backup.statement import ETCD

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from typing import BinaryIO

    from appliance.cluster.standing import Standing
    from appliance.install.backup.recovery_key import RecoveryKey
    from appliance.install.backup.restoring import Pair
    from appliance.site.paths import SitePaths

GIVEN, SITE_FILE = "given", "site.yaml"
_FOLDERS = ("packs", "policies", "tls", "trust")
_MAX_FILE = 4 << 20


def write_site(paths: SitePaths, known: Standing) -> Callable[[BinaryIO], object]:
    """Writes these files as a tar archive. Raises ``UsageError`` for one that the site file names and that is gone."""
    entries = [*_kept(paths), *_given(known)]  # before the archive begins: what is missing is told at once
    return lambda out: write_tar(out, entries)


def _kept(paths: SitePaths) -> Iterator[Entry]:
    for path in (paths.cluster_state, paths.pods_yaml):
        yield Entry(path.relative_to(paths.root).as_posix(), path.read_bytes())
    for path in (paths.journal, paths.journal.with_name("spooled.json"), paths.exchange, paths.judged):
        if path.is_file():
            yield Entry(path.relative_to(paths.root).as_posix(), path.read_bytes())
    for folder in _FOLDERS:
        for path in sorted((paths.root / folder).rglob("*")):
            if path.is_file() and not path.is_symlink():
                yield Entry(path.relative_to(paths.root).as_posix(), path.read_bytes())


def _given(known: Standing) -> Iterator[Entry]:
    """By the names that the site file gives them; what it names by a path elsewhere, by its last name alone."""
    yield Entry(f"{GIVEN}/{SITE_FILE}", known.source.read_bytes())
    found: dict[str, bytes] = {}
    for name in named(known):
        place = _place(name)
        if place == SITE_FILE or place in found:
            continue
        try:
            with (known.source.parent / name).open("rb") as file:
                found[place] = file.read(_MAX_FILE)
        except OSError as error:
            cause = f"{name}: {(error.strerror or 'cannot be read').lower()}; {known.source} names it"
            raise UsageError(cause, "put it back there: without it the site cannot be restored") from error
    yield from (Entry(f"{GIVEN}/{place}", data) for place, data in found.items())


def named(known: Standing) -> Iterator[str]:
    """Files that the site file names, as it names them."""
    cluster, assistant = known.described.cluster, known.described.assistant
    yield cluster.ssh.known_hosts
    if cluster.settings is not None:
        yield cluster.settings
    if assistant is None:
        return
    if assistant.model_policy is not None:
        yield assistant.model_policy
    yield from (person.public_key for person in (*assistant.officers, *assistant.auditors))
    yield from (*assistant.waivers, *assistant.statements)


def _place(name: str) -> str:
    try:
        return check_path(PurePosixPath(name).as_posix())
    except UnsafeNameError:
        return check_path(Path(name).name)


def write_inventory(paths: SitePaths) -> Callable[[BinaryIO], object]:
    """Writes which releases the store held: what the bundles must be that the site comes back with."""
    store = Store(paths.store)
    releases = [
        {
            "version": release.version,
            "number": release.number,
            "sha256": release.digest.hex,
            "signers": list(release.signers),
            "artifacts": [{"name": a.name, "kind": a.kind, "version": a.version} for a in release.artifacts.values()],
        }
        for release in map(store.open_record, store.records())
    ]
    return lambda out: out.write(json.dumps({"schema": 1, "releases": releases}, indent=1).encode())


def lay_out_given(pair: Pair, key: RecoveryKey, out: Path) -> None:
    """Write the site file and what it named to the new folder ``out``. Raises ``UsageError``, ``RefusedError``."""
    with staged_site(pair, key) as staged:
        if not (staged.root / GIVEN).is_dir():
            raise UsageError("the backup holds no cluster's site file", "use the site file of your own")
        with new_folder(out) as folder:
            shutil.copytree(staged.root / GIVEN, folder, dirs_exist_ok=True)


def lay_out_snapshot(pair: Pair, key: RecoveryKey, out: Path) -> None:
    """Write the backup's snapshot of etcd to the new file ``out`` (0600). Raises ``UsageError``, ``RefusedError``."""
    try:
        descriptor = os.open(out, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise UsageError(f"{out} cannot be written: {error.strerror}", "name a new file with room") from error
    try:
        with os.fdopen(descriptor, "wb") as file, pair.main.open(ETCD, key) as content:
            shutil.copyfileobj(content, file)
    except BaseException:
        out.unlink(missing_ok=True)
        raise
