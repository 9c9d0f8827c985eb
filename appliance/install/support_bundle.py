"""What somebody who helps from outside may see of a site: collected, redacted, listed, then written as one archive."""

from __future__ import annotations

import gzip
import hashlib
import io
import json
import platform
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import yaml

from airgap_bundle.archive import Entry, write_tar
from appliance.errors import DeploymentError, SovereignError, UsageError
from appliance.install.process import run
from appliance.install.redaction import persons
from appliance.install.release_description import release_description
from appliance.install.status import site_status
from appliance.site.secrets import write_private

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from appliance.install.redaction import Redactor
    from appliance.site.paths import SitePaths
    from appliance.site.secrets import SecretStore

LOG_BYTES = 512 * 1024
_JOURNAL_LINES = 3000
SUMS = "SHA256SUMS"


@dataclass(frozen=True)
class Item:
    """One file of the bundle, redacted; ``about`` says what it is."""

    path: str
    about: str
    content: bytes

    def data(self) -> dict[str, object]:
        """As the list of a bundle has it."""
        digest = hashlib.sha256(self.content).hexdigest()
        return {"path": self.path, "about": self.about, "bytes": len(self.content), "sha256": digest}


def values(store: SecretStore) -> tuple[bytes, ...]:
    """Every secret of the site, so that each is known by value. Raises ``DeploymentError`` where one does not open."""
    return tuple(store.get(name) for name in store.names())


def people(*files: Path) -> frozenset[str]:
    """Names of people in site files, so that each is known by value; a file that is none names nobody."""
    found: set[str] = set()
    for path in files:
        try:
            found.update(persons(yaml.safe_load(path.read_bytes())))
        except (OSError, yaml.YAMLError):
            continue
    return frozenset(found)


def host_items(paths: SitePaths, redactor: Redactor) -> tuple[Item, ...]:
    """What the bundle of a site on this host holds. Raises ``UsageError`` where nothing is installed."""
    if not paths.site_yaml.exists():
        raise UsageError(f"nothing is installed at {paths.root}", "name the site's root with --site, or install one")
    return tuple(sorted(_host(paths, redactor), key=lambda item: item.path))


def _host(paths: SitePaths, redactor: Redactor) -> Iterator[Item]:
    yield document(
        "machine.json",
        "kernel and Python",
        {"kernel": platform.platform(), "python": platform.python_version()},
        redactor,
    )
    yield described("site.yaml", "the site file", paths.site_yaml.read_bytes(), redactor)
    try:
        yield document("release.json", "the release in force", release_description(paths), redactor)
        yield document("status.json", "as `sovereign status` shows it", site_status(paths).data(), redactor)
    except (SovereignError, OSError) as error:  # a site that is broken is what bundles are for
        yield document("status.json", "why there is no status", {"error": str(error)}, redactor)
    if paths.journal.exists():
        yield log("journal.jsonl", "the install journal", paths.journal.read_bytes(), redactor)
    for path in sorted(paths.log("x").parent.glob("*.log")):
        yield log(f"log/{path.name}", "a service's own log, its end", tail(path), redactor)
    units = f"{paths.run.name}*"
    try:
        said = run(["journalctl", "--no-pager", "--lines", str(_JOURNAL_LINES), "--unit", units])
    except DeploymentError:
        return  # no systemd, or not for this user to read
    yield log("log/journal.log", "the services in systemd's journal, its end", said, redactor)


def tail(path: Path) -> bytes:
    """The end of a log, from the first whole line on."""
    with path.open("rb") as file:
        size = file.seek(0, io.SEEK_END)
        file.seek(max(size - LOG_BYTES, 0))
        read = file.read(LOG_BYTES)
    return read if size <= LOG_BYTES else read.partition(b"\n")[2]


def log(path: str, about: str, content: bytes, redactor: Redactor) -> Item:
    """A log, redacted line by line."""
    return Item(path, about, redactor.log(content.decode(errors="replace")).encode())


def document(path: str, about: str, value: Mapping[str, Any], redactor: Redactor) -> Item:
    """JSON data, redacted field by field."""
    plain = json.loads(json.dumps(value, default=str))
    return Item(path, about, json.dumps(redactor.data(plain), indent=1, ensure_ascii=False).encode() + b"\n")


def described(path: str, about: str, content: bytes, redactor: Redactor) -> Item:
    """A site file, redacted field by field; its comments are left out, as nobody knows what stands there."""
    try:
        value = yaml.safe_load(content)
    except yaml.YAMLError:
        return Item(path, f"{about}, which is not YAML", b"")
    return Item(path, about, yaml.safe_dump(redactor.data(value), sort_keys=False).encode())


def write(out: Path, items: tuple[Item, ...]) -> None:
    """Write ``items`` and the list of their digests (`sha256sum --check`) to ``out``, a new file that its owner reads.

    Raises ``UsageError`` when ``out`` is there.
    """
    if out.exists():
        raise UsageError(f"{out} exists", "name a new file")
    sums = "".join(f"{item.data()['sha256']}  {item.path}\n" for item in items).encode()
    packed = io.BytesIO()
    write_tar(packed, [Entry(SUMS, sums), *(Entry(item.path, item.content) for item in items)])
    write_private(out, gzip.compress(packed.getvalue(), mtime=0))
