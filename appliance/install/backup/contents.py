"""What a backup holds of the site's own files and secrets; and what it leaves out, because it is made anew.

Left out: the store and the releases (they come from their bundles, under the trust that is kept), what engines keep of
prompts with its keys, who is signed in, operational logs, users and runtime of this host, which model was chosen to
serve from a bundle of its own.
"""

from __future__ import annotations

import base64
import json
from typing import TYPE_CHECKING

from airgap_bundle.archive import Entry, Limits, extract, write_tar
from airgap_bundle.errors import FormatError
from appliance.audit.copying import log_files
from appliance.errors import RefusedError
from appliance.install.backup.statement import LOG
from appliance.site.paths import KV_KEY

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator, Mapping
    from pathlib import Path
    from typing import BinaryIO

    from appliance.audit.stored import StoredLog
    from appliance.site.paths import SitePaths
    from appliance.site.secrets import SecretStore

_FILES = ("site.yaml", "state/journal.jsonl", "state/spooled.json", "state/exchange.json", "state/judged.json")
_FOLDERS = ("packs", "policies", "tls", "trust")
_LIMITS = Limits(members=100_000_000, total_bytes=1 << 44)
_MAX_SECRETS = 16 << 20
_MAX_ERASED = 256 << 20
_DAMAGED = "the backup was written by another release, or its writer was not this program"


def write_site(paths: SitePaths) -> Callable[[BinaryIO], object]:
    """Writes the site's files as a tar archive."""
    return lambda out: write_tar(out, _site_entries(paths.root))


def _site_entries(root: Path) -> Iterator[Entry]:
    for name in _FILES:
        if (path := root / name).is_file():
            yield Entry(name, path.read_bytes())
    for folder in _FOLDERS:
        for path in sorted((root / folder).rglob("*")):
            if path.is_file() and not path.is_symlink():
                yield Entry(path.relative_to(root).as_posix(), path.read_bytes())


def write_log(stored: StoredLog) -> Callable[[BinaryIO], object]:
    """Writes one state of the log as a tar archive."""
    return lambda out: write_tar(out, (Entry(f"{LOG}/{name}", data) for name, data in log_files(stored)))


def unpack(source: BinaryIO, folder: Path) -> None:
    """Put an archive's files into ``folder``, which must be empty. Raises ``RefusedError`` for what is none of ours."""
    try:
        extract(source, folder, _LIMITS)
    except FormatError as error:
        raise RefusedError(f"an archive in the backup cannot be read: {error.cause}", _DAMAGED) from error


def write_erased(people: Collection[str]) -> Callable[[BinaryIO], object]:
    """Writes the pseudonyms of those who were erased."""
    return lambda out: out.write(json.dumps({"erased": sorted(people)}).encode())


def read_erased(source: BinaryIO) -> frozenset[str]:
    """The pseudonyms. Raises ``RefusedError`` for what is none of ours."""
    try:
        return frozenset(map(str, json.loads(source.read(_MAX_ERASED))["erased"]))
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise RefusedError("the list of erased people in the backup cannot be read", _DAMAGED) from error


def write_secrets(store: SecretStore) -> Callable[[BinaryIO], object]:
    """Writes every secret of the site but those of what is not kept."""
    kept = {name: store.get(name) for name in store.names() if not name.endswith(f"/{KV_KEY}")}
    text = {name: base64.b64encode(value).decode() for name, value in kept.items()}
    return lambda out: out.write(json.dumps({"secrets": text}).encode())


def read_secrets(source: BinaryIO) -> Mapping[str, bytes]:
    """The secrets by name. Raises ``RefusedError`` for what is none of ours."""
    data = source.read(_MAX_SECRETS)
    try:
        secrets: dict[str, str] = json.loads(data)["secrets"]
        return {str(name): base64.b64decode(value, validate=True) for name, value in secrets.items()}
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise RefusedError("the secrets in the backup cannot be read", _DAMAGED) from error
