"""How the host's reports look as tables."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich.table import Table

from appliance.install.backup.last import shown

if TYPE_CHECKING:
    from rich.console import Console

    from appliance.cluster.computing import Computing
    from appliance.install.confinement import EngineConfinement
    from appliance.install.host import Plan
    from appliance.install.model_check import Waived
    from appliance.install.preflight.report import PreflightReport
    from appliance.install.status import ServiceStatus, SiteStatus
    from appliance.install.witnessing import Witnessing

_COLOURS = {"pass": "green", "warn": "yellow", "waived": "yellow", "fail": "red", "not established": "yellow"}
MIB = 1024 * 1024


def render_preflight(report: PreflightReport, console: Console) -> None:
    """One row per finding; remedies below those that do not hold."""
    table = Table("check", "", "found", "needed", box=None, pad_edge=False)
    for f in report.findings:
        table.add_row(f.name, f"[{_COLOURS[f.status]}]{f.status}[/]", _plain(f.found), _plain(f.needed))
    console.print(table)
    for f in report.findings:
        if f.remedy is not None:
            console.print(f"{f.name}: {f.remedy}", markup=False)


def render_plan(plan: Plan, console: Console) -> None:
    """Preflight, verification, steps."""
    render_preflight(plan.preflight, console)
    console.print()
    if plan.bundle is not None:
        table = Table("verification", "", "", box=None, pad_edge=False)
        for check in plan.bundle.checks:
            table.add_row(check.name, f"[{_COLOURS[check.status]}]{check.status}[/]", _plain(check.detail))
        console.print(table)
        console.print()
    steps = Table("step", "", "", box=None, pad_edge=False)
    for name, title, done in plan.steps:
        steps.add_row(name, _plain(title), "done before" if done else "to do")
    console.print(steps)


def render_status(status: SiteStatus, console: Console) -> None:
    """Services, then what is in force, then what to act on."""
    table = Table(box=None, pad_edge=False)
    for name in ("service", "state", "ready", "pid", "memory", "up", "user"):
        table.add_column(name, overflow="fold")
    for service in status.services:
        table.add_row(*_service_row(service))
    console.print(table)
    console.print()
    release = status.release
    facts = (
        ("site", f"{status.site} at {status.root} ({status.supervision})"),
        ("open", status.url),
        ("release", f"{release['version']} ({release['name']})"),
        ("trusted root", str(release["root_fingerprint"])),
        ("site key", status.site_key or "not readable by you"),
        *((f"certificate {c.name}", f"until {c.expires[:10]}, {c.days} days left") for c in status.certificates),
        *((f"waiver {'host ' if w.kind == 'host' else ''}{w.subject}", _waiver(w)) for w in status.waivers),
        *((f"confined {e.engine}", _layers(e)) for e in status.confinement),
        *((f"answers {e.engine}", e.program) for e in status.confinement if e.program),
        *((f"computes {e.engine}", computing_words(e)) for e in status.confinement if e.variant),
        *(
            (f"pinned {e.engine}", f"{e.pinned_tokens} of {e.most_pinned} tokens of instructions")
            for e in status.confinement
            if e.pinned_tokens
        ),
        *((("last witness", _witness(status.witnessing)),) if status.witnessing else ()),
        *((("last backup", shown(status.backup.made)),) if status.backup else ()),
        *((("next backup", f"due {shown(status.next_backup)}"),) if status.next_backup else ()),
        ("disk free", f"{status.disk_free / MIB / 1024:.1f} GiB"),
    )
    for name, value in facts:
        console.print(f"{name}: {value}", markup=False, soft_wrap=True)
    for warning in status.warnings:
        console.print(f"warning: {warning}", style="yellow", markup=False, soft_wrap=True)


def _service_row(service: ServiceStatus) -> tuple[str, ...]:
    colour = "green" if service.ready else "red"
    memory = f"{service.rss // MIB}/{service.memory_limit // MIB} MiB" if service.rss is not None else ""
    ready = "ready" if service.ready else "not ready"
    return (
        service.name,
        service.state,
        f"[{colour}]{ready}[/]",
        str(service.pid or ""),
        memory,
        _duration(service.uptime),
        service.user,
    )


def _waiver(waiver: Waived) -> str:
    if not waiver.in_force:
        return f"not in force: {waiver.reason}"
    return f"{', '.join(waiver.waives)} until {(waiver.expires or '')[:10]} ({waiver.officer}: {waiver.reason})"


def computing_words(engine: EngineConfinement | Computing) -> str:
    """With what an engine computes."""
    cpu = f"with the CPU code for {engine.variant}"
    return cpu if engine.device is None else f"on {engine.device}, what is left to the processor {cpu}"


def _layers(engine: EngineConfinement) -> str:
    """``seccomp, landlock`` where they hold; with state and reason where they do not."""
    reasons = dict.fromkeys(layer.detail for layer in engine.layers if layer.state != "holds")
    why = f" ({'; '.join(reasons)})" if reasons else ""
    states = {layer.state for layer in engine.layers}
    if states == {"unknown"}:
        return f"unknown{why}"
    return ", ".join(la.name if la.state == "holds" else f"{la.name} {la.state}" for la in engine.layers) + why


def _witness(found: Witnessing) -> str:
    if found.witness is None or found.time is None:
        return "none"
    return f"{found.witness} cosigned {found.size} entries on {found.time[:10]}"


def _duration(seconds: float | None) -> str:
    if seconds is None:
        return ""
    minutes, rest = divmod(int(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    days, hours = divmod(hours, 24)
    if days:
        return f"{days}d {hours}h"
    return f"{hours}h {minutes}m" if hours else f"{minutes}m {rest}s"


def _plain(text: str) -> str:
    """Text from outside never carries markup."""
    return text.replace("[", r"\[")
