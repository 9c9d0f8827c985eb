"""llama-server out of a release's wheel, the way that a site takes: gate, fork, the wheel's own bytes, and no search.

Skipped where that wheel was never compiled; `make test-llama-server` compiles it first.
"""

from __future__ import annotations

import asyncio
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from appliance.engine.client import EngineClient
from appliance.engine.protocol import Admitted, End, Request, Token
from appliance.site.paths import SitePaths
from tests.attacks.engine.test_planted_libraries import SEARCHES
from tests.engine.llama_server_wheel import cached_wheel
from tests.engine.served import Served, described, running
from tests.engine.small_model import write

WHEEL = cached_wheel()
pytestmark = pytest.mark.skipif(
    WHEEL is None, reason="NOT TESTED: no wheel with llama-server here; `make test-llama-server` compiles it"
)
SITE = """
import os, sys
from pathlib import Path
from types import SimpleNamespace
from appliance.cli import serve_engine
from appliance.site.paths import SitePaths
from appliance.site.served import Model
paths = SitePaths(Path(sys.argv[1]))
model = Model(name="m", program="llama-server", context_tokens=256, memory_mib=900, threads=1)
def judged(model, service, paths, waived):
    held = serve_engine._confine_gate(model, service, paths, waived)
    weights = os.open(paths.store / "weights", os.O_RDONLY)
    found = SimpleNamespace(fd_weights=weights, template="{{ messages[0].content }}", record={"name": "m"})
    return found, {"digest": "sha256:0", "confinement": list(held), "program": model.program}, {}
serve_engine._through_gate = judged
serve_engine._serve_llama_server(model, "engine-m", paths, frozenset({os.getuid(), 0}), frozenset())
"""
REPOSITORY = Path(__file__).parents[3]


@pytest.fixture
def wheel(tmp_path: Path) -> Path:
    """The wheel, unpacked as pip does, in a folder of its own; the rest of the environment stays as it is."""
    assert WHEEL is not None
    tmp_path.chmod(0o755)
    folder = tmp_path / "wheel"
    with zipfile.ZipFile(WHEEL) as archive:
        archive.extractall(folder)
    return folder


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> SitePaths:
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path / "run"))
    paths = SitePaths(tmp_path / "site")
    for folder in (paths.policies, paths.store, paths.current, paths.socket("engine-m").parent):
        folder.mkdir(parents=True)
    paths.site_yaml.write_text("{}")
    (paths.current / "release.json").write_text("{}")
    write(paths.store / "weights")
    return paths


@pytest.fixture
def planted(wheel: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The working directory, with code for this processor in it that ggml's search would take."""
    folder = tmp_path / "here"
    folder.mkdir()
    shutil.copy(wheel / "llama_cpp" / "lib" / "libggml-cpu-sse42.so", folder / "libggml-cpu-icelake.so")
    monkeypatch.chdir(folder)
    return folder


def _python(wheel: Path, program: str, *arguments: str) -> list[str]:
    """``program`` with the wheel before every other, whatever the environment says."""
    return [
        sys.executable,
        "-c",
        f"import sys\nsys.path[:0] = {[str(wheel), str(REPOSITORY)]!r}\n{program}",
        *arguments,
    ]


def _child_of(served: Served) -> int:
    pid = served.process.pid
    (child,) = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    return int(child)


def _mapped(pid: int) -> set[Path]:
    lines = Path(f"/proc/{pid}/maps").read_text().splitlines()
    return {Path(line.split(maxsplit=5)[5]) for line in lines if ".so" in line}


def test_a_site_is_answered_by_the_wheels_llama_server_and_its_code_alone(
    wheel: Path, site: SitePaths, planted: Path
) -> None:
    async def asked(socket: Path) -> list[object]:
        async with EngineClient(socket) as client:
            request = Request("1", "analyst", "g", prompt="1 2 3 4", max_tokens=8, temperature=0.0, seed=1)
            return [event async for event in client.generate(request)]

    with running(_python(wheel, SITE, str(site.root)), site.socket("engine-m")) as served:
        events = asyncio.run(asked(served.socket))
        said = described(served.socket)
        mapped = _mapped(_child_of(served))
    assert isinstance(events[0], Admitted)
    assert isinstance(events[-1], End)
    assert any(isinstance(event, Token) for event in events)
    assert (said["program"], said["receipt"]["program"]) == ("llama-server", "llama-server")
    assert (said["parallel"], said["context_tokens"]) == (4, 256)
    assert all(layer["holds"] for layer in said["confinement"]), said["confinement"]
    ours = {path for path in mapped if "ggml" in path.name or "llama" in path.name}
    assert {path.parent for path in ours} == {wheel / "llama_cpp" / "lib"}, ours
    assert wheel / "llama_cpp" / "lib" / f"libggml-cpu-{said['variant']}.so" in ours
    assert not [path for path in mapped if path.is_relative_to(planted)]


def test_what_is_planted_is_worth_taking_for_a_search(wheel: Path, planted: Path) -> None:
    """Else the test above would pass for another reason."""
    done = subprocess.run(_python(wheel, SEARCHES), capture_output=True, text=True, check=True, cwd=planted)
    assert str(planted) in done.stdout.splitlines()[-1]


@pytest.mark.parametrize("name", ["libllama-server-impl.so", "libllama-common.so", "libmtmd.so", "libllama.so"])
def test_a_changed_byte_ends_the_start(
    wheel: Path, site: SitePaths, name: str, capfd: pytest.CaptureFixture[str]
) -> None:
    library = wheel / "llama_cpp" / "lib" / name
    data = bytearray(library.read_bytes())
    data[-1] ^= 1
    library.write_bytes(data)
    with (
        pytest.raises(RuntimeError, match="instead of serving"),
        running(_python(wheel, SITE, str(site.root)), site.socket("engine-m")),
    ):
        pass
    assert f"{name} is not the file that the release delivered" in capfd.readouterr().err
