"""The builder's folder, which is kept in version control: what each site sent last, and what that comes to.

    keys/NAME.pub     public keys of the sites that may send, put there by a person
    sites/NAME.jsonl  the newest export of the site, exactly as persons of it signed it
    sites/NAME.json   where it came from: number, digest, day, how many approved, by which key
    decisions.jsonl   what a person decided of cases that sites disagree on
    cases.jsonl       what the next release carries
    blocked.jsonl     what waits for a decision

The last two are made of the others; equal exports and decisions give equal bytes. Whatever else lies there is left.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any, Literal

from airgap_bundle import durable, strict_json
from airgap_bundle.errors import BundleError, KeyFileError, StoreError
from airgap_bundle.keys import load_public
from appliance.learning.errors import ExchangeError, ExchangeRefusedError
from appliance.learning.exchange import released
from appliance.learning.exchange.export import MAX_BYTES, Export, read_export
from appliance.learning.exchange.lines import Line, joined, line_of, read_lines
from appliance.learning.exchange.merging import Decision, Merged, merge, merged
from appliance.learning.exchange.shared import Digest

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from pathlib import Path

    from airgap_bundle.keys import PublicSigner

KEYS, SITES, DECISIONS, CASES, BLOCKED = "keys", "sites", "decisions.jsonl", released.FILE, "blocked.jsonl"
MAX_SITES = 1000
_MAX_DECISIONS = 100_000
_MAX_SMALL = 64 << 10


class DecisionLine(Line):
    """What a person decided of one case."""

    digest: Digest
    decision: Literal["keep", "drop"]


@dataclass(frozen=True)
class Came:
    """Where a site's export came from; ``key`` is the fingerprint of the key that signed its bundle."""

    number: int
    export: str
    made: str
    approvals: int
    key: str


@dataclass(frozen=True)
class Held:
    """The folder as it is."""

    sites: Mapping[str, Export] = field(default_factory=dict)
    came: Mapping[str, Came] = field(default_factory=dict)
    decisions: Mapping[str, Decision] = field(default_factory=dict)

    def merged(self) -> Merged:
        """What it comes to. Raises as ``merging.merged``."""
        return merged(self.sites, self.decisions)

    def take(self, exports: Iterable[tuple[Export, str]], decisions: Mapping[str, Decision]) -> Held:
        """With ``exports``, each with its key's fingerprint, and ``decisions``. Pure.

        Raises ``ExchangeRefusedError`` for an export that is older than what is here: whoever kept a copy of it could
        else bring back what the site has taken back since. Of one call, the newest of each site counts.
        """
        sites, came = dict(self.sites), dict(self.came)
        for export, key in exports:
            head = export.head
            former = self.sites.get(head.site)
            if former is not None and head.number < former.head.number:
                raise ExchangeRefusedError(
                    f"{head.site}: export {head.number} is older than export {former.head.number}, which is here",
                    f"ask the site for a newer one: `sovereign learn export --above {former.head.number}`",
                )
            sites = merge(sites, {head.site: export})
            if sites[head.site] is export:
                came[head.site] = Came(head.number, export.digest, head.made, head.approvals, key)
        return Held(sites, came, {**self.decisions, **decisions})


def read_keys(folder: Path) -> tuple[PublicSigner, ...]:
    """Keys of the sites that may send, each by the name of its file. Raises ``ExchangeError``."""
    found = []
    for path in sorted((folder / KEYS).glob("*.pub")):
        try:
            key = load_public(path)
        except KeyFileError as error:
            raise ExchangeError(f"{path.name}: {error.cause}", error.hint) from error
        if path.name != f"{key.name}.pub":
            raise ExchangeError(f"{path.name} holds the key of {key.name}", "name the file as the site is called")
        found.append(key)
    return tuple(found)


def read_folder(folder: Path) -> Held:
    """The folder, held against itself. Raises ``ExchangeError`` for what somebody changed by hand."""
    sites, came = {}, {}
    for path in sorted((folder / SITES).glob("*.jsonl"))[: MAX_SITES + 1]:
        export = read_export(_read(path, MAX_BYTES), path.name)
        about = _came(path.with_suffix(".json"))
        if path.name != f"{export.head.site}.jsonl" or about.export != export.digest:
            raise ExchangeError(f"{path.name} is not what {path.stem}.json says", "bring back what was committed")
        sites[export.head.site], came[export.head.site] = export, about
    return Held(sites, came, _decisions(folder / DECISIONS))


def write_folder(folder: Path, held: Held, found: Merged) -> None:
    """Write everything but the keys: all of it, or on a full disk nothing. Raises ``StoreError``."""
    try:
        (folder / SITES).mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise StoreError(f"{folder} cannot be written: {error.strerror}") from error
    files = {}
    for site, export in sorted(held.sites.items()):
        files[folder / SITES / f"{site}.jsonl"] = export.to_bytes()
        files[folder / SITES / f"{site}.json"] = strict_json.dumps(asdict(held.came[site])) + b"\n"
    lines = (DecisionLine(digest=digest, decision=word) for digest, word in sorted(held.decisions.items()))
    files[folder / DECISIONS] = joined(lines)
    files[folder / CASES] = released.Released(found.cases, found.retired).to_bytes()
    files[folder / BLOCKED] = b"".join(strict_json.dumps(one) + b"\n" for one in blocked_lines(found))
    durable.replace_all({path: data for path, data in files.items() if not _is(path, data)})


def blocked_lines(found: Merged) -> list[dict[str, Any]]:
    """What waits for a decision, as data."""
    return [
        {
            "digest": one.digest,
            "case": one.case.model_dump(mode="json"),
            "held_by": list(one.held_by),
            "retired_by": list(one.retired_by),
            "against": list(one.against),
        }
        for one in found.blocked
    ]


def _came(path: Path) -> Came:
    try:
        return Came(**strict_json.load_object(_read(path, _MAX_SMALL)))
    except (BundleError, TypeError) as error:
        raise ExchangeError(f"{path.name} cannot be read", "bring back what was committed") from error


def _decisions(path: Path) -> dict[str, Decision]:
    if not path.exists() or not (data := _read(path, _MAX_DECISIONS * 256)):
        return {}
    values = read_lines(data, path.name, _MAX_DECISIONS * 256, _MAX_DECISIONS)
    lines = [line_of(DecisionLine, value, path.name, number) for number, value in enumerate(values, start=1)]
    return {one.digest: one.decision for one in lines}


def _read(path: Path, most: int) -> bytes:
    try:
        with path.open("rb") as stream:
            data = stream.read(most + 1)
    except OSError as error:
        raise ExchangeError(f"{path.name}: {(error.strerror or 'cannot be read').lower()}") from error
    if len(data) > most:
        raise ExchangeError(f"{path.name} is longer than {most} bytes")
    return data


def _is(path: Path, data: bytes) -> bool:
    return path.is_file() and not path.is_symlink() and path.read_bytes() == data
