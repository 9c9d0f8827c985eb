"""One engine of the site: confined, its model past the gate and in the log, and then served.

The descriptor that the gate has verified goes to the engine here, so that no path is opened a second time.
Imports lie inside the functions: a process loads the code of its own service and nothing else.
"""

from __future__ import annotations

import os
import uuid
from typing import TYPE_CHECKING, Any

import structlog

from appliance.errors import RefusedError
from appliance.site.paths import AUDIT, GATEWAY, KV_KEY, standby_service

if TYPE_CHECKING:
    from appliance.models.gate import VerifiedModel
    from appliance.site.config import SiteConfig
    from appliance.site.credentials import Credentials
    from appliance.site.paths import SitePaths
    from appliance.site.served import Model


def serve_model(model: Model, service: str, config: SiteConfig, paths: SitePaths, credentials: Credentials) -> None:
    """The engine ``service`` of ``model``, until it is told to stop.

    Raises ``RefusedError`` (the gate), ``DeploymentError``, ``AuditUnavailableError`` (no load goes unlogged).
    """
    from appliance.engine.kv.disk import Disk
    from appliance.engine.rapl import open_counters
    from appliance.models.admission import layers_waived_at

    clients = _clients(paths)  # asked while this process may still look around
    waived = layers_waived_at(paths, config)
    standby = service == standby_service(model.name)  # it leaves the file to the engine that it stands in for
    arena = None if standby else _arena(model, paths)
    if model.program == "llama-server":
        _serve_llama_server(model, service, paths, clients, waived)
        return
    from appliance.engine.launch import serve as serve_engine

    counters = open_counters()
    master = credentials.read(KV_KEY) if arena is not None else b""
    admitted, receipt, adapters = _through_gate(model, service, paths, waived)
    serve_engine(
        weights_fd=admitted.fd_weights,
        template=admitted.template,
        receipt=receipt,
        record=admitted.record,
        config=model,
        socket=paths.socket(service),
        clients=clients,
        waived=waived,
        disk=None if arena is None else Disk.for_model(arena, master, receipt),
        counters=counters,
        adapters={name: adapter.fd_weights for name, adapter in adapters.items()},
    )


def _serve_llama_server(
    model: Model, service: str, paths: SitePaths, clients: frozenset[int], waived: frozenset[str]
) -> None:
    """llama-server instead, whose process opens the model itself: raises as ``serve_model``."""
    from appliance.engine.llama_server.child import Opened
    from appliance.engine.llama_server.launch import serve

    def gate() -> Opened:
        admitted, receipt, _ = _through_gate(model, service, paths, waived)
        return Opened(admitted.fd_weights, admitted.template, receipt, admitted.record)

    serve(gate=gate, config=model, socket=paths.socket(service), clients=clients, waived=waived)


def _through_gate(
    model: Model, service: str, paths: SitePaths, waived: frozenset[str]
) -> tuple[VerifiedModel, dict[str, Any], dict[str, VerifiedModel]]:
    """Confine this process, verify the model and its adapters, and log both: the model, its receipt, the adapters."""
    from appliance.engine.errors import ConfinementError
    from appliance.models.admission import admit_adapter, admit_model

    try:
        holding = _confine_gate(model, service, paths, waived)
        admitted = admit_model(model.name, paths)
        adapters = {name: admit_adapter(name, model.name, paths) for name in model.adapters}
    except (RefusedError, ConfinementError) as refusal:
        _record_load(paths, model, model_name=model.name, model_digest="", accepted=False, reason=refusal.cause)
        raise
    receipt = {**admitted.receipt, "confinement": list(holding)}
    if model.program != "sovereign":
        receipt["program"] = model.program
    if adapters:
        receipt["adapters"] = {name: adapter.receipt for name, adapter in adapters.items()}
    for loaded in (receipt, *(adapter.receipt for adapter in adapters.values())):
        _record_load(
            paths,
            model,
            model_name=loaded["name"],
            model_digest=loaded["digest"],
            **{field: loaded[field] for field in _RECORDED if field in loaded},
        )
    return admitted, receipt, adapters


def _arena(model: Model, paths: SitePaths) -> int | None:
    """Where this engine keeps beginnings of prompts, opened and bounded while it may still do either.

    A file that cannot be opened costs what it would have saved, and no answer.
    """
    from appliance.engine.errors import KvArenaError
    from appliance.engine.kv.arena import hold_to_size, open_arena

    path = paths.kv_arena(model.name)
    try:
        if model.kept_mib:
            arena = open_arena(path, model.kept_mib)
            hold_to_size(arena)
            return arena
        path.unlink(missing_ok=True)
    except (KvArenaError, OSError) as error:
        structlog.get_logger("engine").warning("kv_not_kept", reason=str(error))
    return None


def _clients(paths: SitePaths) -> frozenset[int]:
    """Who may open a connection to this engine: the gateway, root, and this service itself (``sovereign await``)."""
    from appliance.site.peers import ROOT, service_uid

    gateway = service_uid(paths, GATEWAY)
    return frozenset({ROOT, os.geteuid()} | ({gateway} if gateway is not None else set()))


def _confine_gate(model: Model, service: str, paths: SitePaths, waived: frozenset[str]) -> tuple[str, ...]:
    """Confine this process to what the gate reads; names of the layers that hold. Raises ``ConfinementError``."""
    from pathlib import Path

    from appliance.engine.confinement.landlock import environment, laid_open
    from appliance.engine.confinement.layers import confine
    from appliance.engine.errors import ConfinementError
    from appliance.engine.launch import view_of

    judged = (paths.site_yaml, paths.policies, paths.store, paths.current / "release.json")
    decided = tuple(path for path in (paths.trust, paths.serving(model.name).parent) if path.exists())
    own = Path("/proc/self")  # its status and memory counter
    view = view_of(model, (*environment(), *judged, *decided, own), paths.socket(service).parent)
    if (library := laid_open(view, paths.root)) is not None:
        raise ConfinementError("landlock", f"the site lies beneath {library}, which every engine reads")
    return confine(view, waived).holding


_RECORDED = (
    "version",
    "template_digest",
    "release",
    "licence",
    "producer",
    "jurisdiction",
    "signers",
    "waivers",
    "confinement",
)


def _record_load(paths: SitePaths, model: Model, **event: Any) -> None:
    """Enter the gate's verdict into the log. Raises ``AuditUnavailableError``: an unlogged load does not happen."""
    from appliance.audit import events
    from appliance.audit.client import SyncAuditClient
    from appliance.audit.roles import engine

    with SyncAuditClient(paths.socket(AUDIT)) as log:
        log.append(events.model_load(**event), id=engine(model.name).id("load", str(uuid.uuid4())))
