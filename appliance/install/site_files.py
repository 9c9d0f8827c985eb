"""site.yaml with the files it names (keys, waivers, statements, model policy), read once before anything changes.

They are installed under ``SitePaths.policies`` with names of their own, so that a later run needs neither the
medium nor the folder they came from.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from appliance.errors import SiteFileError, UsageError
from appliance.install.backup.recovery_key import FOLDER as RECOVERY
from appliance.install.backup.recovery_key import parse_recipient
from appliance.site.load import parse_site, read_site_bytes
from appliance.site.marks import read_marked

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from appliance.site.cluster import ClusterSite
    from appliance.site.config import SiteConfig
    from appliance.site.paths import SitePaths

MAX_BYTES = 1024 * 1024


@dataclass(frozen=True)
class SiteFiles:
    """The bytes an operator gave: nothing is read from their paths again."""

    config: SiteConfig
    site_yaml: bytes
    policy: bytes | None
    officers: Mapping[str, bytes]
    waivers: Mapping[str, bytes]
    statements: Mapping[str, bytes] = field(default_factory=dict)
    auditors: Mapping[str, bytes] = field(default_factory=dict)
    recovery: Mapping[str, bytes] = field(default_factory=dict)

    def installed(self) -> dict[str, bytes]:
        """Everything under ``SitePaths.policies`` that comes from the operator, by relative name."""
        files = {"models.yaml": self.policy} if self.policy is not None else {}
        files |= {f"officers/{name}.pub": data for name, data in self.officers.items()}
        files |= {f"auditors/{name}.pub": data for name, data in self.auditors.items()}
        files |= {f"waivers/{name}": data for name, data in self.waivers.items()}
        files |= {f"{RECOVERY}/{name}": data for name, data in self.recovery.items()}
        return files | {f"statements/{name}": data for name, data in self.statements.items()}


def read_site_files(source: Path, paths: SitePaths) -> SiteFiles:
    """Read the site file at ``source`` and what it names. Raises ``SiteFileError`` with every mistake and its line."""
    data = read_site_bytes(source)
    config = parse_site(data, str(source))
    if config.profile != "host":
        raise SiteFileError(str(source), ("line 1: profile: pod is what a cluster's installer writes for its pods",))
    locate = _installed_place(paths) if source == paths.site_yaml else _given_place(source.parent)
    return SiteFiles(config, data, *_named(source, _Reader(data, locate), config, ()))


def read_cluster_files(source: Path, described: ClusterSite) -> SiteFiles:
    """What the site file of a cluster names for its assistant, with the site as its pods read it. Raises likewise."""
    assert described.assistant is not None
    reader = _Reader(read_site_bytes(source), _given_place(source.parent))
    config = described.pods
    told = config.model_dump_json(by_alias=True, exclude_none=True).encode()
    return SiteFiles(config, told, *_named(source, reader, config, ("assistant",)))


def _named(
    source: Path, reader: _Reader, config: SiteConfig, above: tuple[str, ...]
) -> tuple[bytes | None, dict[str, bytes], dict[str, bytes], dict[str, bytes], dict[str, bytes], dict[str, bytes]]:
    """Policy, officers' keys, waivers, statements, auditors', recovery keys; ``above``: where ``config`` stands."""
    policy = reader.read((*above, "model_policy"), "models.yaml", config.model_policy) if config.model_policy else None
    officers = {
        o.name: reader.read((*above, "officers", i, "public_key"), f"officers/{o.name}.pub", o.public_key)
        for i, o in enumerate(config.officers)
    }
    auditors = {
        a.name: reader.read((*above, "auditors", i, "public_key"), f"auditors/{a.name}.pub", a.public_key)
        for i, a in enumerate(config.auditors)
    }
    waivers = reader.read_all(above, "waivers", config.waivers)
    statements = reader.read_all(above, "statements", config.statements)
    recovery = _recovery_keys(reader, config) if config.backup is not None else {}
    if reader.mistakes:
        raise SiteFileError(str(source), tuple(reader.mistakes))
    return policy, officers, waivers, statements, auditors, recovery


def _recovery_keys(reader: _Reader, config: SiteConfig) -> dict[str, bytes]:
    """Public recovery keys by the names that they are installed under; one that is none is a mistake of its line."""
    assert config.backup is not None
    found = reader.read_all(("backup",), "recovery_keys", config.backup.recovery_keys, RECOVERY)
    for i, given in enumerate(config.backup.recovery_keys):
        if data := found.get(Path(given).name):
            try:
                parse_recipient(data, Path(given))
            except UsageError as error:
                reader.note(("backup", "recovery_keys", i), error.cause)
    return found


def _given_place(base: Path) -> Callable[[str, str], Path]:
    return lambda _, given: base / given


def _installed_place(paths: SitePaths) -> Callable[[str, str], Path]:
    return lambda installed, _: paths.policies / installed


class _Reader:
    def __init__(self, data: bytes, locate: Callable[[str, str], Path]) -> None:
        self._marked = read_marked(data.decode())
        self._locate = locate
        self.mistakes: list[str] = []

    def read(self, place: tuple[str | int, ...], installed: str, given: str) -> bytes:
        path = self._locate(installed, given)
        try:
            with path.open("rb") as file:
                data = file.read(MAX_BYTES + 1)
        except OSError as error:
            self.note(place, f"{given}: {(error.strerror or 'cannot be read').lower()}")
            return b""
        if len(data) > MAX_BYTES:
            self.note(place, f"{given}: larger than {MAX_BYTES // 1024} KiB")
        return data

    def read_all(
        self, above: tuple[str, ...], field: str, given: tuple[str, ...], folder: str | None = None
    ) -> dict[str, bytes]:
        """The files that ``field`` lists, by the names that they are installed under, in ``folder`` or one so named."""
        found: dict[str, bytes] = {}
        for i, path in enumerate(given):
            name = Path(path).name
            if name in found:
                self.note((*above, field, i), f"two {field} files are named {name}")
            found[name] = self.read((*above, field, i), f"{folder or field}/{name}", path)
        return found

    def note(self, place: tuple[str | int, ...], cause: str) -> None:
        where = ".".join(str(p) for p in place)
        self.mistakes.append(f"line {self._marked.line(place)}: {where}: {cause}")
