"""The outcome of a preflight: one finding per rule, as a table or JSON."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Literal

from airgap_bundle.errors import BundleError
from airgap_bundle.inspection import claimed_size
from appliance.errors import PreflightError
from appliance.install.preflight.facts import Facts, collect
from appliance.install.preflight.rules import RULES, Needs

if TYPE_CHECKING:
    from pathlib import Path

    from appliance.site.config import SiteConfig
    from appliance.site.paths import SitePaths

EPOCH = datetime(2026, 1, 1, tzinfo=UTC)
"""No release is older: the clock's lower bound where no signed date says more."""


@dataclass(frozen=True)
class Finding:
    """One rule's outcome."""

    name: str
    status: Literal["pass", "warn", "fail"]
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
    findings = []
    for rule in RULES:
        holds = rule.holds(facts, needs)
        bad: Literal["warn", "fail"] = "fail" if rule.level == "required" else "warn"
        found, needed = rule.found(facts, needs), rule.needed(facts, needs)
        findings.append(Finding(rule.name, "pass" if holds else bad, found, needed, None if holds else rule.remedy))
    return PreflightReport(tuple(findings))


def check_host(
    config: SiteConfig, paths: SitePaths, bundle: Path | None, earliest: datetime = EPOCH
) -> PreflightReport:
    """Collect and judge. ``bundle`` sizes the disk, by what it claims to hold; nothing in it is trusted here."""
    return judge(collect(config, paths), Needs(config, _size(bundle), earliest))


def _size(bundle: Path | None) -> int:
    if bundle is None:
        return 1024 * 1024 * 1024
    with suppress(BundleError):  # what is no bundle is refused later, with its reason
        return claimed_size(bundle)
    return 0
