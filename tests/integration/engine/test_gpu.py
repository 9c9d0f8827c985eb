"""Models computed on a GPU: the processor's answers but for close calls, metered, and confined like any engine.

Skipped where there is none. `make test-gpu` also runs the tests of the small model with every context on the GPU:
shared, evicted, put off and restored beginnings, sliding windows, adapters and the soak.
"""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import pytest

from appliance.engine.client import EngineClient
from appliance.engine.protocol import End, Token
from appliance.engine.steady import SETTLES_S
from appliance.site.gpu import gpus
from appliance.site.paths import SitePaths
from tests.engine import asking, gpu
from tests.engine.confined import unprivileged
from tests.engine.served import Sizes, described, our_engine, running
from tests.engine.small_model import write

if TYPE_CHECKING:
    from pathlib import Path

    from appliance.engine.protocol import TokenLogprob

pytestmark = pytest.mark.skipif(bool(gpu.lacking()), reason=gpu.lacking() or "there is one")
FAR = 0.2
"""Log-probabilities further apart than this are not rounding: processors add in 32 bits, GPUs multiply in fewer."""
ROOM = 3000
SIZES = Sizes(context_tokens=1024, memory_mib=ROOM, parallel=8)
PROMPTS = [" ".join(f"{(n * n + 7 * word) % 97}" for word in range(2 + 5 * n)) for n in range(1, 33)]


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write(tmp_path_factory.mktemp("model") / "small.gguf")


def _asked(number: int, prompt: str, tokens: int) -> Any:
    return asking.request(
        id=f"gpu-{number}", user=f"user {number % 4}", group="bench", prompt=prompt, max_tokens=tokens,
        temperature=0.0, seed=1, top_logprobs=5,
    )  # fmt: skip


async def _first_tokens(socket: Path) -> list[TokenLogprob]:
    """The first token of each prompt with its rivals, eight asked at once."""
    async with EngineClient(socket) as client:
        limit = asyncio.Semaphore(8)

        async def one(number: int, prompt: str) -> TokenLogprob:
            async with limit:
                found = [event async for event in client.generate(_asked(number, prompt, 8))]
                return next(event.logprobs[0] for event in found if isinstance(event, Token) and event.logprobs)

        return list(await asyncio.gather(*(one(n, prompt) for n, prompt in enumerate(PROMPTS))))


def test_a_confined_engine_on_a_gpu_says_what_the_processors_says_but_for_close_calls(small: Path) -> None:
    with our_engine(small, SIZES) as plain:
        expected = asyncio.run(_first_tokens(plain.socket))
        assert "device" not in described(plain.socket)
    with our_engine(small, Sizes(context_tokens=1024, memory_mib=ROOM, parallel=8, gpu=0)) as on_gpu:
        found = asyncio.run(_first_tokens(on_gpu.socket))
        said = described(on_gpu.socket)
    assert said["device"]["memory_bytes"] > 1 << 30
    assert all(layer["holds"] for layer in said["confinement"]), said["confinement"]
    pairs = list(zip(expected, found, strict=True))
    for theirs, ours in pairs:
        rival = dict(theirs.top).get(ours.piece)
        assert rival is not None, "the processor gives it no chance"
        assert theirs.logprob - rival < FAR, "the processor's best token led by more than rounding"
    same = [abs(e.logprob - f.logprob) for e, f in pairs if f.piece == e.piece]
    assert max(same) < FAR
    assert len(same) > len(PROMPTS) * 0.8


def test_joules_are_the_gpus_own_counters(small: Path) -> None:
    async def ended(socket: Path) -> list[End]:
        found = []
        async with EngineClient(socket) as client:
            for number, prompt in enumerate(PROMPTS[:12]):
                events = [event async for event in client.generate(_asked(number, prompt, 3000))]
                found += [event for event in events if isinstance(event, End)]
        return found

    with our_engine(small, Sizes(context_tokens=4096, memory_mib=ROOM, gpu=0)) as on_gpu:
        ends = asyncio.run(ended(on_gpu.socket))
    long = [end for end in ends if end.timing.first_token_ms + end.timing.decode_ms > 2000 * SETTLES_S]
    assert long, [end.timing for end in ends]
    assert {end.energy.method for end in long} == {"measured"}
    assert sum(end.energy.joules + end.energy.idle_joules for end in long) > 0
    short = [end for end in ends if end.timing.first_token_ms + end.timing.decode_ms < 900 * SETTLES_S]
    assert {end.energy.method for end in short} <= {"estimated"}


def test_a_gpu_that_is_not_there_ends_the_start_with_its_number(small: Path) -> None:
    absent = max(one.number for one in gpus()) + 1
    with (
        pytest.raises(RuntimeError, match="ended with"),
        our_engine(small, Sizes(context_tokens=1024, memory_mib=ROOM, gpu=absent)),
    ):
        pass


GATED = """
import os, sys
from pathlib import Path
from appliance.cli.serve_engine import _confine_gate
from appliance.engine.launch import serve
from appliance.site.paths import SitePaths
from appliance.site.served import Model
paths = SitePaths(Path(sys.argv[1]))
model = Model(name="m", gpu=0, context_tokens=1024, memory_mib=3000)
held = _confine_gate(model, "engine-m", paths, frozenset())
assert set(held) == {"unprivileged", "no_new_privs", "seccomp", "landlock"}, held
serve(
    weights_fd=os.open(paths.store / "weights", os.O_RDONLY), template="{{ messages[0].content }}",
    receipt={"digest": "sha256:0", "confinement": list(held)}, record={"name": "m"}, config=model,
    socket=paths.socket("engine-m"), clients=frozenset({os.getuid()}),
)
"""


def test_an_engine_serves_on_a_gpu_behind_the_gate_that_is_confined_before_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The way that a site takes: the gate gives up files and calls first, and the engine then does so once more."""
    tmp_path.chmod(0o755)
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path / "run"))
    paths = SitePaths(tmp_path / "site")
    for folder in (paths.policies, paths.store, paths.current, paths.socket("engine-m").parent):
        folder.mkdir(parents=True)
    paths.site_yaml.write_text("{}")
    (paths.current / "release.json").write_text("{}")
    write(paths.store / "weights")
    with running([sys.executable, "-c", GATED, str(paths.root)], paths.socket("engine-m")) as served:
        found = asyncio.run(_first_tokens(served.socket))
        said = described(served.socket)
    assert len(found) == len(PROMPTS)
    assert all(layer["holds"] for layer in said["confinement"]), said["confinement"]
    assert said["device"]["name"]


PROBE = """
import json, os, sys
from pathlib import Path
from appliance.engine.confinement.landlock import environment
from appliance.engine.confinement.layers import confine, seal
from appliance.engine.launch import view_of
from appliance.site.served import Model
own = Path(sys.argv[1])
confined = confine(view_of(Model(name="m", gpu=0), environment(), own), ())
from appliance.engine import llama_backend
llama_backend.start(gpu=0)
seal(confined, ())
def tried(act):
    try:
        act()
    except OSError as error:
        return error.errno
    return 0
import fcntl, termios, socket
print(json.dumps({
    "write": tried(lambda: os.open(own / "file", os.O_WRONLY | os.O_CREAT)),
    "device": tried(lambda: os.open("/dev/nvidiactl", os.O_RDWR)),
    "memory": tried(lambda: os.open("/dev/mem", os.O_RDONLY)),
    "passwd": tried(lambda: os.open("/etc/passwd", os.O_RDONLY)),
    "mend": tried(lambda: os.open(f"/proc/self/task/{os.getpid()}/mem", os.O_RDWR)),
    "name": tried(lambda: os.open(f"/proc/self/task/{os.getpid()}/comm", os.O_WRONLY)),
    "type": tried(lambda: fcntl.ioctl(0, termios.TIOCSTI, b"x")),
    "socket": tried(lambda: socket.socket(socket.AF_INET)),
    "program": tried(lambda: os.execv("/bin/true", ["true"])),
}))
"""


def test_an_engine_with_a_gpu_still_reaches_nothing_else(tmp_path: Path) -> None:
    own = tmp_path / "own"
    own.mkdir()
    tmp_path.chmod(0o755)
    done = subprocess.run(
        unprivileged([sys.executable, "-c", PROBE, str(own)]),
        capture_output=True, text=True, check=False, env={**os.environ}, stdin=subprocess.DEVNULL,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    said = json.loads(done.stdout.splitlines()[-1])
    refused = {name: number for name, number in said.items() if number}
    assert set(refused) == set(said), f"reached: {set(said) - set(refused)}"
