"""`sovereign status` says with what an engine computes: by the word of a real one, held against the kernel's."""

from __future__ import annotations

import io
from dataclasses import replace
from typing import TYPE_CHECKING

from rich.console import Console

from appliance.cli.host_tables import render_status
from appliance.engine import llama_backend
from appliance.install.confinement import EngineConfinement, engine_confinement
from appliance.install.probe import Probe
from appliance.install.status import SiteStatus
from appliance.site.processor import processor_flags, variant_for
from tests.engine.served import Sizes, our_engine
from tests.engine.small_model import write
from tests.unit.install.test_supervision_units import SERVICES

if TYPE_CHECKING:
    from pathlib import Path

SIZES = Sizes(context_tokens=256, memory_mib=400, parallel=2)


def _shown(engine: EngineConfinement) -> str:
    """What a terminal shows of a site with this engine."""
    status = SiteStatus(
        site="trial",
        url="https://assistant.example",
        root="/srv/site",
        supervision="systemd",
        release={"version": "1", "name": "demo", "root_fingerprint": "0"},
        services=(),
        site_key=None,
        certificates=(),
        waivers=(),
        confinement=(engine,),
        witnessing=None,
        backup=None,
        next_backup=None,
        disk_free=0,
        warnings=(),
    )
    out = io.StringIO()
    render_status(status, Console(file=out, width=200))
    return out.getvalue()


def test_the_variant_that_computes_is_named_and_none_where_nothing_runs(tmp_path: Path) -> None:
    service = next(s for s in SERVICES if s.name.startswith("engine-"))
    best = llama_backend.ONE if llama_backend.is_one() else variant_for(processor_flags())
    with our_engine(write(tmp_path / "small.gguf"), SIZES) as served:
        asked = replace(service, probe=Probe("unix-http", str(served.socket)))
        found = engine_confinement(asked, served.process.pid, ())
        gone = engine_confinement(asked, None, ())
    states = {layer.name: layer.state for layer in found.layers}
    assert states["seccomp"] == states["landlock"] == "holds"  # its user is root outside its namespace, in tests
    assert found.variant == best
    assert f"computes {service.name}: with the CPU code for {best}" in _shown(found)
    assert "computes" not in _shown(gone)
