"""A cluster's site as the commands of its administrator find it: every socket at the place that a host's has.

The sockets lie in a folder of one command's own and go with it. A connection to one of them becomes one ssh to the host
where the service runs (`backup.sockets`), and only then is the cluster asked where that is: a command that needs the
database alone enters one host. Nothing is granted for this: each service knows root of its host already.
"""

from __future__ import annotations

import inspect
import json
import tempfile
import time
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from appliance.audit.checkpoint import read_vkeys
from appliance.cluster.backup import databases, log, relay
from appliance.cluster.backup.log import log_of
from appliance.cluster.backup.sockets import SOCKETS, carried, on_host, unix_listener
from appliance.cluster.backup.streams import room
from appliance.cluster.custody import engine_link
from appliance.cluster.reach import Pod, Reach, volume_of
from appliance.cluster.standing import standing
from appliance.errors import UsageError
from appliance.install.backup.contents import unpack
from appliance.install.backup.mark import refuse_half_restored
from appliance.install.backup.statement import LOG
from appliance.install.own_folder import own_folder
from appliance.install.steps.secrets import VKEYS
from appliance.site.paths import AUDIT, DATABASE, GATEWAY, SitePaths, engine_service

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from appliance.cluster.standing import Standing

ASSISTANT = "assistant"
_MANAGEMENT = "9208"
"""Where a gateway's pod answers its own host: the probes' port of the chart."""
_KEPT_S = 60.0
"""For so long a place that was asked for is believed: pods move, and a command may take a night."""
_PIECE = 1 << 20


@dataclass(frozen=True)
class ReachedPaths(SitePaths):
    """Paths of the administrator's site root, with what a host has besides in the folder ``here``."""

    here: Path = field(kw_only=True)
    reach: Reach = field(kw_only=True, compare=False)

    @property
    def site_yaml(self) -> Path:
        """The site as pods read it."""
        return self.pods_yaml

    @property
    def current(self) -> Path:
        """A folder that names the release in force."""
        return self.here / "current"

    def socket(self, service: str) -> Path:
        """Leads to ``service``; to the management port where that is the gateway."""
        return self.here / service / "sock"

    @property
    def patience_s(self) -> float:
        """Two ssh come before an answer, on hosts that are busy with others'."""
        return 9.0

    @property
    def engine_patience_s(self) -> float:
        """The same, and what an engine takes on a host."""
        return 15.0

    def copy_log(self) -> Path:
        """A copy of the log as it is now, judged on its way, which goes with the command.

        Raises ``LogInconsistentError`` for what is not the site's log, ``RefusedError`` for more than there is room
        for, ``DeploymentError`` where the writer's pod does not answer.
        """
        packed = self.here / "log.tar"
        most = room(self.here) // 2  # it lies there twice for a moment
        with packed.open("wb") as sink, log_of(self.reach, read_vkeys(self.policies / VKEYS), most) as found:
            while piece := found.read(_PIECE):
                sink.write(piece)
        folder = Path(tempfile.mkdtemp(prefix="log-", dir=self.here))
        with packed.open("rb") as source:
            unpack(source, folder)
        packed.unlink()
        return folder / LOG


@contextmanager
def reached_site(paths: SitePaths, enter: Sequence[str] = ()) -> Iterator[ReachedPaths]:
    """The site of the cluster that was installed from ``paths``, within reach for as long as the block lasts.

    ``enter`` goes before each ssh. Raises ``UsageError`` where there is no assistant, or a restore is under way.
    """
    refuse_half_restored(paths)
    known = standing(paths)
    if known.described.assistant is None or not known.state.release or not paths.pods_yaml.exists():
        raise UsageError("there is no assistant on the cluster", "run `sovereign install` to its end first")
    reach = Reach(known.described.cluster, known.source.parent, tuple(enter), known.state.identity)
    paths.journal.parent.mkdir(mode=0o700, exist_ok=True)  # where commands keep what they did, as on a host
    with own_folder() as folder, ExitStack() as stack:
        found = ReachedPaths(paths.root, here=folder, reach=reach)
        found.current.mkdir()
        release = {"version": known.state.release}
        (found.current / "release.json").write_text(json.dumps(release))
        for place, way in _ways(found, reach, known):
            place.parent.mkdir(mode=0o700)
            stack.enter_context(carried(unix_listener(place), way))
        yield found


def _ways(found: ReachedPaths, reach: Reach, known: Standing) -> Iterator[tuple[Path, Callable[[], Sequence[str]]]]:
    """Each socket here, and what gives the command line that goes on from it."""
    host, site = known.described.state_host, known.described.pods

    def stored(pod: str, name: str) -> Callable[[], Sequence[str]]:
        return _kept(lambda: on_host(reach, host, f"{reach.volume(pod, SOCKETS)}/{name}"))

    def engine(model: str) -> Callable[[], Sequence[str]]:
        def way() -> Sequence[str]:
            pod = reach.running(ASSISTANT)[0]
            return on_host(reach, pod.host, f"{volume_of(pod.uid, engine_link(model))}/sock")

        return _kept(way)

    yield found.socket(AUDIT), stored(log.POD, "sock")
    name = f".s.PGSQL.{databases.PORT}"
    yield found.socket(DATABASE).with_name(name), stored(databases.POD, name)
    yield found.socket(GATEWAY), _kept(lambda: _to_gateway(reach, reach.running(ASSISTANT)[0]))
    for model in site.models:
        yield found.socket(engine_service(model.name)), engine(model.name)


def _to_gateway(reach: Reach, pod: Pod) -> Sequence[str]:
    return reach.on(pod.host, "python3", "-c", inspect.getsource(relay), pod.address, _MANAGEMENT)


def _kept(ask: Callable[[], Sequence[str]]) -> Callable[[], Sequence[str]]:
    """``ask``, whose answer is believed for a while."""
    last: list[tuple[float, Sequence[str]]] = []

    def way() -> Sequence[str]:
        if not last or time.monotonic() - last[0][0] > _KEPT_S:
            last[:] = [(time.monotonic(), ask())]
        return last[0][1]

    return way
