"""The outcome of a preflight: one finding per rule, as a table or JSON."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Literal

from airgap_bundle.errors import BundleError, FormatError
from airgap_bundle.inspection import claimed_size
from airgap_bundle.keys import parse_public
from appliance.errors import PreflightError, SiteFileError
from appliance.install.preflight.facts import Facts, collect
from appliance.install.preflight.rule import Needs, Rule
from appliance.install.preflight.rules import RULES
from appliance.models.host_waiver import waived_layers

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from airgap_bundle.keys import PublicSigner
    from appliance.install.site_files import SiteFiles
    from appliance.site.paths import SitePaths

EPOCH = datetime(2026, 1, 1, tzinfo=UTC)
"""No release is older: the clock's lower bound where no signed date says more."""


@dataclass(frozen=True)
class Finding:
    """One rule's outcome."""

    name: str
    status: Literal["pass", "warn", "waived", "fail"]
    found: str
    needed: str
    remedy: str | None


@dataclass(frozen=True)
class PreflightReport:
    """Every finding; ``ok`` unless a required one failed."""

    findings: tuple[Finding, ...]

    @property
    def ok(self) -> bool:
        """Whether the host may be installed on."""
        return all(f.status != "fail" for f in self.findings)

    def data(self) -> dict[str, object]:
        """The report as JSON data."""
        return {"ok": self.ok, "findings": [asdict(f) for f in self.findings]}

    def demand(self) -> None:
        """Raise ``PreflightError`` with every failed finding unless ``ok``."""
        failed = [f for f in self.findings if f.status == "fail"]
        if failed:
            lines = "\n  ".join(f"{f.name}: {f.found}, needs {f.needed}; {f.remedy}" for f in failed)
            raise PreflightError(
                f"this host fails {len(failed)} check{'s' if len(failed) > 1 else ''}\n  {lines}",
                "mend them and run it again; nothing was changed",
            )


def judge(facts: Facts, needs: Needs) -> PreflightReport:
    """Compare ``facts`` with every rule. Pure."""
    return PreflightReport(tuple(_finding(rule, facts, needs) for rule in RULES))


def _finding(rule: Rule, facts: Facts, needs: Needs) -> Finding:
    found, needed = rule.found(facts, needs), rule.needed(facts, needs)
    if rule.holds(facts, needs):
        return Finding(rule.name, "pass", found, needed, None)
    if rule.layer is not None and rule.layer in needs.waived:
        return Finding(rule.name, "waived", f"{found}; waived by {needs.waived[rule.layer]}", needed, None)
    return Finding(rule.name, "fail" if rule.level == "required" else "warn", found, needed, rule.remedy)


def check_host(files: SiteFiles, paths: SitePaths, bundle: Path | None, earliest: datetime = EPOCH) -> PreflightReport:
    """Collect and judge. ``bundle`` sizes the disk, by what it claims to hold; nothing in it is trusted here."""
    facts = collect(files.config, paths)
    return judge(facts, Needs(files.config, _size(bundle), earliest, waived_by(files, facts.now)))


def waived_by(files: SiteFiles, now: datetime) -> dict[str, str]:
    """Layers that the operator's waivers let this host lack: by whom, until when. Raises ``SiteFileError``."""
    _enrolled(files.auditors, "auditors")
    waivers = waived_layers(files.waivers, enrolled_officers(files), files.config.name, now)
    return {layer: f"{w.officer} until {w.expires:%Y-%m-%d}" for layer, w in waivers.items()}


def enrolled_officers(files: SiteFiles) -> tuple[PublicSigner, ...]:
    """The officers whom the site file names. Raises ``SiteFileError`` for a key file that is none or another's."""
    return _enrolled(files.officers, "officers")


def _enrolled(given: Mapping[str, bytes], kind: str) -> tuple[PublicSigner, ...]:
    found: list[PublicSigner] = []
    for name, data in given.items():
        try:
            person = parse_public(data)
        except FormatError as error:
            raise SiteFileError("site.yaml", (f"{kind}: the key of {name} is unusable: {error.cause}",)) from error
        if person.name != name:
            raise SiteFileError("site.yaml", (f"{kind}: the key file of {name} is made out to {person.name}",))
        found.append(person)
    return tuple(found)


def _size(bundle: Path | None) -> int:
    if bundle is None:
        return 1024 * 1024 * 1024
    with suppress(BundleError):  # what is no bundle is refused later, with its reason
        return claimed_size(bundle)
    return 0
