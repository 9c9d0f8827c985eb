"""A cluster's audit log as a stream: out of its writer's pod, and onto the disk of the host that has the state.

The administrator's machine judges it as it passes (`audit.passing`) and keeps nothing of it. On its way in the files
lie beside their place until all of them were judged.
"""

from __future__ import annotations

import inspect
import io
from contextlib import contextmanager
from typing import TYPE_CHECKING

from airgap_bundle.archive import Limits, read_files
from airgap_bundle.errors import FormatError
from appliance.audit.passing import PassingLog
from appliance.audit.tiles import MAX_ENTRY_BYTES, WIDTH
from appliance.cluster.backup import inside_writer
from appliance.cluster.backup.streams import as_file
from appliance.cluster.reach import said
from appliance.cluster.seats import IN_PODS, VOLUMES
from appliance.errors import LogInconsistentError
from appliance.install.backup.statement import LOG
from appliance.install.process import feed, output

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from typing import BinaryIO

    from appliance.audit.note import VerifierKey
    from appliance.audit.passing import Passed
    from appliance.cluster.reach import Reach

POD, CONTAINER, PYTHON = "audit-0", "writer", "/usr/bin/python3.11"
PLACE = VOLUMES / "audit"
USER = 20030
_PART = "log.partial"
_FILE_BYTES = WIDTH * (MAX_ENTRY_BYTES + 2)
_HOURS = 6 * 3600.0
_RECEIVE = f"""set -eu
cd {PLACE}
rm -rf {_PART}
mkdir -m 700 {_PART}
tar -x -f - -C {_PART} --no-same-owner --no-same-permissions
chown -R {USER}:{USER} {_PART}
find {_PART} -type d -exec chmod 750 {{}} +
find {_PART} -type f -exec chmod 640 {{}} +
sync
"""
_TAKE = f"set -eu; cd {PLACE}; rm -rf {LOG}; mv {_PART}/{LOG} {LOG}; rmdir {_PART}; sync"


class JudgedLog(io.RawIOBase):
    """The archive of a log out of ``source``, byte for byte, for who reads it to its end; ``passed`` is known then.

    Raises ``LogInconsistentError`` for what is not the log that ``vkeys`` sign, before the last bytes are given out.
    ``most`` bytes in all are taken. ``beginning`` is as ``PassingLog`` has it.
    """

    def __init__(self, source: BinaryIO, vkeys: Sequence[VerifierKey], most: int, beginning: int = 0) -> None:
        super().__init__()
        self._source = _Recorder(source)
        self._log = PassingLog(vkeys, beginning)
        self._pieces = self._read_on(Limits(members=100_000_000, total_bytes=most))
        self.passed: Passed | None = None

    def readable(self) -> bool:
        """It is."""
        return True

    def read(self, _size: int = -1) -> bytes:
        """The next bytes, of whatever size; none at the end."""
        return next(self._pieces, b"")

    def to_end(self) -> Passed:
        """Read what is left, for its verdict alone."""
        while self.read():
            pass
        assert self.passed is not None
        return self.passed

    def _read_on(self, limits: Limits) -> Iterator[bytes]:
        try:
            for path, data in read_files(as_file(self._source), limits, _FILE_BYTES):
                folder, _, name = path.partition("/")
                if folder != LOG or not name:
                    raise LogInconsistentError(
                        f"{path!r} is no file of a log", "ask what runs on the host of the state"
                    )
                self._log.take(name, data)
                yield self._source.taken()
            self.passed = self._log.finish()
        except FormatError as error:
            raise LogInconsistentError(f"the log cannot be read: {error.cause}", "try again") from error
        if rest := self._source.taken():
            yield rest


class _Recorder(io.RawIOBase):
    """Keeps what is read until it is taken."""

    def __init__(self, source: BinaryIO) -> None:
        super().__init__()
        self._source, self._read = source, list[bytes]()

    def read(self, size: int = -1) -> bytes:
        self._read.append(data := self._source.read(size))
        return data

    def taken(self) -> bytes:
        read, self._read = b"".join(self._read), []
        return read


@contextmanager
def log_of(reach: Reach, vkeys: Sequence[VerifierKey], most: int, beginning: int = 0) -> Iterator[JudgedLog]:
    """One state of the running log, as its writer's pod reads it. Raises as ``JudgedLog``, ``DeploymentError``."""
    program = inspect.getsource(inside_writer)  # it comes along: whichever release runs there, both ends agree
    argv = reach.inside(POD, CONTAINER, PYTHON, "-c", program, str(IN_PODS.audit_log))
    keys = "".join(f"{key.encode()}\n" for key in vkeys).encode()
    cut: LogInconsistentError | None = None
    with output(argv, env={}, stdin=keys, timeout_s=_HOURS) as source:
        try:
            yield JudgedLog(source, vkeys, most, beginning)
        except LogInconsistentError as error:
            if source.read(1):
                raise
            cut = error  # where the program failed, it says why when the block ends
    if cut is not None:
        raise cut


def receive_log(reach: Reach, host: str, log: JudgedLog) -> Passed:
    """Lay ``log`` down on ``host``, beside its place. Raises as ``JudgedLog``, ``DeploymentError``."""
    feed(reach.on(host, "sh", "-c", _RECEIVE), as_file(log), env={}, timeout_s=_HOURS)
    return log.to_end()


def take_log(reach: Reach, host: str) -> None:
    """Put what ``receive_log`` laid down into its place; what was there goes. No writer may run."""
    said(reach.on(host, "sh", "-c", _TAKE))
