"""The usage report as one HTML page: no scripts, nothing fetched, light and dark, fit to print.

The content security policy in the page allows its own style sheet by digest and nothing else. Text from the log is
escaped by the template engine; a name with markup in it is shown, not run.
"""

from __future__ import annotations

import base64
import hashlib
from typing import TYPE_CHECKING

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from appliance.audit import figures, svg
from appliance.audit.charges import charges
from appliance.audit.endings import endings
from appliance.audit.habits import explained
from appliance.audit.tally import MAX_DOCUMENTS, MODELS_OF_A_USER, ranked

if TYPE_CHECKING:
    from appliance.audit.charges import Prices
    from appliance.audit.tally import UsageReport

_MAX_BARS = 12


def render_html(report: UsageReport, prices: Prices | None = None) -> str:
    """The page, with what groups are charged where there are ``prices``."""
    environment = Environment(
        loader=PackageLoader("appliance.audit"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {"number": figures.number, "energy": figures.energy, "share": figures.share}
    style, _, _ = environment.loader.get_source(environment, "usage.css")  # type: ignore[union-attr]  # set just above
    digest = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()
    unit, buckets = figures.buckets(list(report.by_day))
    return environment.get_template("usage.html").render(
        report=report,
        style=Markup(style),  # noqa: S704 - our own file; its digest is in the policy
        style_digest=digest,
        period=_period(report),
        unit=unit,
        plots=_plots(report, buckets) if buckets else None,
        energy_unit=figures.energy_scale(max((tally.joules for tally in report.by_day.values()), default=0))[1],
        groups=ranked(report.by_group),
        models=ranked(report.by_model),
        purposes=ranked(report.by_purpose),
        days=sorted(report.by_day.items()),
        top_users=report.top_users,
        top_pairs=report.top_pairs,
        top_failing=report.top_failing,
        endings=endings(report.outcomes),
        most_models=MODELS_OF_A_USER,
        prices=prices,
        charges=charges(report, prices) if prices else [],
        documents=report.documents.most_common(MAX_DOCUMENTS),
        unusual=[(one, explained(one)) for one in report.unusual],
    )


def _plots(report: UsageReport, buckets: list[tuple[str, list[str]]]) -> dict[str, Markup]:
    labels = [label for label, _ in buckets]

    def sums(value: str) -> list[float]:
        tallies = report.by_day
        return [sum(getattr(tallies[day], value) for day in days if day in tallies) for _, days in buckets]

    return {
        "use": svg.columns(
            "Answers and refusals over time",
            labels,
            [
                svg.Series("answers", "c1", sums("answers")),
                svg.Series("refusals", "c2", sums("refusals")),
            ],
            figures.short,
        ),
        "tokens": svg.columns(
            "Tokens over time",
            labels,
            [
                svg.Series("prompt tokens", "c3", sums("prompt_tokens")),
                svg.Series("generated tokens", "c1", sums("completion_tokens")),
            ],
            figures.short,
        ),
        "energy": _energy_plot(labels, sums("joules")),
        "sign_ins": svg.columns(
            "Sign-ins over time",
            labels,
            [
                svg.Series("sign-ins", "c1", sums("sign_ins")),
                svg.Series("failed sign-ins", "c2", sums("failed_sign_ins")),
            ],
            figures.short,
        ),
        "refusals": svg.bars(
            "Refusals by reason",
            [(name, count) for name, count in report.refusal_reasons.most_common(_MAX_BARS)],
            "c2",
            figures.number,
        ),
        "broken_off": svg.bars(
            "Answers that broke off",
            [(one.outcome, one.count) for one in endings(report.outcomes)[:_MAX_BARS] if one.failed],
            "c2",
            figures.number,
        ),
        "groups": svg.bars(
            "Requests by group",
            [(name, tally.requests) for name, tally in ranked(report.by_group)[:_MAX_BARS]],
            "c1",
            figures.number,
        ),
        "models": svg.bars(
            "Requests by model",
            [(name, tally.requests) for name, tally in ranked(report.by_model)[:_MAX_BARS]],
            "c1",
            figures.number,
        ),
    }


def _energy_plot(labels: list[str], joules: list[float]) -> Markup:
    scale, unit = figures.energy_scale(max(joules))
    series = svg.Series(unit, "c4", [value / scale for value in joules])
    return svg.columns("Energy over time", labels, [series], figures.short)


def _period(report: UsageReport) -> str:
    days = sorted(report.by_day)
    first = report.since.isoformat() if report.since else days[0] if days else ""
    last = report.until.isoformat() if report.until else days[-1] if days else ""
    if not first and not last:
        return "no events"
    return first if first == last else f"{first or 'the beginning'} to {last or 'the end'}"
