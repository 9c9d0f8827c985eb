"""What code does that took over an engine through its model: everything. Run as a program, in the engine's place.

A victim is started first: another service of the site, with a secret in its memory, listening on TCP, UDP, an abstract
socket and a socket file. Then the process is confined (or not, to see that the attempts are real), and tries. It prints
what came of each attempt; the victim, once it is let go, writes down what reached it.
"""

from __future__ import annotations

import ctypes
import errno
import json
import mmap
import os
import resource
import select
import signal
import socket
import struct
import sys
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Any

from appliance.engine.confinement.landlock import View, environment
from appliance.engine.confinement.layers import confine, seal

if TYPE_CHECKING:
    from collections.abc import Callable

SECRET = b"swordfish of the victim"
_LIBC = ctypes.CDLL(None, use_errno=True)
_NEW_USER, _SIGCHLD = 0x1000_0000, 17
RAW = {  # x86-64 numbers; arguments are harmless where the call is allowed
    "execve": (59, 0, 0, 0),
    "execveat": (322, -1, 0, 0, 0, 0),
    "clone into a user namespace": (56, _NEW_USER | _SIGCHLD | 0x100, 0, 0, 0, 0),
    "clone3": (435, 0, 0),
    "unshare": (272, _NEW_USER),
    "setns": (308, -1, 0),
    "mount": (165, 0, 0, 0, 0, 0),
    "open_tree": (428, -1, 0, 0),
    "pivot_root": (155, 0, 0),
    "ptrace": (101, 0x10, -1, 0, 0),
    "process_vm_readv": (310, -1, 0, 0, 0, 0, 0),
    "pidfd_open": (434, 0, 0),
    "pidfd_getfd": (438, -1, 0, 0),
    "keyctl": (250, 0, 0),
    "add_key": (248, 0, 0, 0, 0, 0),
    "bpf": (321, -1, 0, 0),
    "perf_event_open": (298, 0, 0, 0, -1, 0),
    "userfaultfd": (323, 0xFFFF),
    "io_uring_setup": (425, 0, 0),
    "memfd_create": (319, 0, 0),
    "memfd_secret": (447, 0),
    "open_by_handle_at": (304, -1, 0, 0),
    "personality": (135, 0x0400_0000),
    "kexec_load": (246, 0, 0, 0, 0),
    "init_module": (175, 0, 0, 0),
    "finit_module": (313, -1, 0, 0),
    "setuid": (105, 0),
    "tkill": (200, 0, 0),
}
Report = dict[str, Any]


def victim(folder: Path, tell: int, until: int) -> None:
    """Another service: say where it is on ``tell``, count what arrives until ``until`` is closed, write it down."""
    counted: Report = {"signals": 0, "tcp": 0, "udp": 0, "abstract": 0, "file": 0}
    memory = ctypes.create_string_buffer(SECRET)

    def on_signal(_number: int, _frame: object) -> None:
        counted["signals"] += 1

    signal.signal(signal.SIGUSR1, on_signal)
    tcp, udp = socket.socket(), socket.socket(type=socket.SOCK_DGRAM)
    abstract, named = socket.socket(socket.AF_UNIX), socket.socket(socket.AF_UNIX)
    tcp.bind(("127.0.0.1", 0))
    udp.bind(("127.0.0.1", 0))
    abstract.bind(f"\0{folder}")
    named.bind(str(folder / "site" / "audit.sock"))
    for listener in (tcp, abstract, named):
        listener.listen()
    place = {"tcp": tcp.getsockname()[1], "udp": udp.getsockname()[1], "memory": ctypes.addressof(memory)}
    os.write(tell, json.dumps(place).encode())
    doors = {tcp: "tcp", udp: "udp", abstract: "abstract", named: "file"}
    while True:
        ready, _, _ = select.select([until, *doors], [], [])
        if until in ready:
            break
        for door in ready:
            counted[doors[door]] += 1
            door.recv(100) if doors[door] == "udp" else door.accept()
    counted["memory"] = memory.value.decode()
    (folder / "victim.json").write_text(json.dumps(counted))


class Attempts:
    """Every attempt by name. Each raises ``OSError`` when it is refused and returns when it worked."""

    def __init__(self, folder: Path, model: int, pid: int, place: Report) -> None:
        self._site, self._own, self._model, self._pid, self._place = folder / "site", folder / "own", model, pid, place

    def named(self) -> dict[str, Callable[[], object]]:
        return {**self._sockets(), **self._files(), **self._writing(), **self._processes(), **self._raw()}

    def _sockets(self) -> dict[str, Callable[[], object]]:
        families = {"inet": socket.AF_INET, "inet6": socket.AF_INET6, "netlink": socket.AF_NETLINK}
        families |= {"packet": socket.AF_PACKET, "vsock": socket.AF_VSOCK, "alg": socket.AF_ALG}
        kinds = {"netlink": socket.SOCK_RAW, "alg": socket.SOCK_SEQPACKET}
        made: dict[str, Callable[[], object]] = {
            f"{name} socket": lambda f=family, n=name: socket.socket(f, kinds.get(n, socket.SOCK_STREAM)).close()
            for name, family in families.items()
        }
        return made | {
            "inet datagram socket": lambda: socket.socket(type=socket.SOCK_DGRAM).close(),
            "unix datagram socket": lambda: socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM).close(),
            "unix stream socket": lambda: socket.socket(socket.AF_UNIX).close(),
            "unix datagram pair": lambda: socket.socketpair(type=socket.SOCK_DGRAM),
            "tcp to the victim": lambda: socket.create_connection(("127.0.0.1", self._place["tcp"]), 5).close(),
            "udp to the victim": lambda: socket.socket(type=socket.SOCK_DGRAM).sendto(
                b"x", ("127.0.0.1", self._place["udp"])
            ),
            "the victim's abstract socket": lambda: socket.socket(socket.AF_UNIX).connect(f"\0{self._site.parent}"),
            "the audit log's socket": lambda: socket.socket(socket.AF_UNIX).connect(str(self._site / "audit.sock")),
        }

    def _files(self) -> dict[str, Callable[[], object]]:
        read = Path.read_bytes
        return {
            "read the site's secrets": lambda: read(self._site / "secrets" / "site.key"),
            "list the site": lambda: list(self._site.iterdir()),
            "read the model by its name": lambda: read(self._site / "model.gguf"),
            "read another model": lambda: read(self._site / "other.gguf"),
            "read /etc/shadow": lambda: read(Path("/etc/shadow")),
            "read /etc/passwd": lambda: read(Path("/etc/passwd")),
            "read the first process's environment": lambda: read(Path("/proc/1/environ")),
            "read the victim's environment": lambda: read(Path(f"/proc/{self._pid}/environ")),
            "read the victim's memory": self._read_memory,
            "list processes": lambda: list(Path("/proc").iterdir()),
        }

    def _read_memory(self) -> None:
        with Path(f"/proc/{self._pid}/mem").open("rb", buffering=0) as memory:
            memory.seek(self._place["memory"])
            assert memory.read(len(SECRET)) == SECRET

    def _writing(self) -> dict[str, Callable[[], object]]:
        secret = self._site / "secrets" / "site.key"
        return {
            "write into its own folder": lambda: _drop(self._own),
            "write into /tmp": lambda: _drop(Path("/tmp")),
            "write into shared memory": lambda: _drop(Path("/dev/shm")),
            "overwrite the site's secrets": lambda: secret.write_bytes(b"mine"),
            "append to a library": lambda: Path(os.__file__).open("ab").close(),
            "reopen the model for writing": lambda: os.open(f"/proc/self/fd/{self._model}", os.O_RDWR),
            "truncate the model": lambda: os.truncate(self._site / "model.gguf", 0),
            "remove the site's secrets": secret.unlink,
            "rename the site's secrets": lambda: secret.rename(self._own / "moved"),
            "link the site's secrets": lambda: os.link(secret, self._own / "linked"),
            "make a folder": (self._own / "folder").mkdir,
            "make a symbolic link": lambda: (self._own / "symbolic").symlink_to(secret),
            "make a pipe": lambda: os.mkfifo(self._own / "pipe"),
            "open the site's secrets to all": lambda: secret.chmod(0o666),
        }

    def _processes(self) -> dict[str, Callable[[], object]]:
        return {
            "fork": _fork,
            "start a program": lambda: os.waitpid(os.posix_spawn("/bin/true", ["true"], {}), 0),
            "signal the victim": lambda: os.kill(self._pid, signal.SIGUSR1),
            "signal a thread of the victim": lambda: _call(234, self._pid, self._pid, signal.SIGUSR1),
            "own its input's signals as the victim": lambda: _call(72, 0, 8, self._pid),
            "trace the victim": self._trace,
            "trace its parent": lambda: _call(101, 0x4206, os.getppid(), 0, 0),
            "signal its parent": lambda: os.kill(os.getppid(), 0),
            "make itself dumpable": lambda: _call(157, 4, 1, 0, 0, 0),
            "set its own limits": self._set_limits,
        }

    @staticmethod
    def _set_limits() -> None:
        same = ctypes.create_string_buffer(struct.pack("2Q", *resource.getrlimit(resource.RLIMIT_NOFILE)))
        _call(302, 0, resource.RLIMIT_NOFILE, ctypes.addressof(same), 0)

    def _trace(self) -> None:
        _call(101, 0x4206, self._pid, 0, 0)  # PTRACE_SEIZE
        _call(101, 0x4207, self._pid, 0, 0)  # PTRACE_INTERRUPT
        os.waitpid(self._pid, 0)
        _call(101, 17, self._pid, 0, 0)  # PTRACE_DETACH

    @staticmethod
    def _raw() -> dict[str, Callable[[], object]]:
        return {
            f"call {name}": lambda n=number, a=arguments: _call(n, *a) for name, (number, *arguments) in RAW.items()
        }


def _call(number: int, *arguments: int) -> int:
    result = _LIBC.syscall(ctypes.c_long(number), *(ctypes.c_long(a) for a in arguments))
    if result == -1:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
    return int(result)


def _drop(folder: Path) -> None:
    dropped = folder / f"dropped-{os.getpid()}"
    dropped.write_bytes(b"x")
    dropped.unlink()


def _fork() -> None:
    child = os.fork()
    if child == 0:
        os._exit(0)
    os.waitpid(child, 0)


def _tried(attempts: dict[str, Callable[[], object]]) -> Report:
    found: Report = {}
    for name, attempt in attempts.items():
        try:
            attempt()
            found[name] = "worked"
        except OSError as error:
            found[name] = errno.errorcode.get(error.errno or 0, str(error))
    return found


def _kept(model: int) -> Report:
    """What an engine must still be able to do."""
    size = os.fstat(model).st_size
    with mmap.mmap(model, size, prot=mmap.PROT_READ) as mapped:
        content = mapped[:].decode()
    one, other = socket.socketpair()
    one.sendall(b"still here")
    return {"read": os.pread(model, size, 0).decode(), "mapped": content, "pair": other.recv(100).decode()}


def main(mode: str, folder: Path) -> None:
    """``mode``: ``confined`` or ``free``; in ``folder`` lie the site and the engine's own folder."""
    model = os.open(folder / "site" / "model.gguf", os.O_RDONLY)
    tell, until = os.pipe(), os.pipe()
    pid = os.fork()
    if pid == 0:
        os.close(until[1])
        victim(folder, tell[1], until[0])
        os._exit(0)
    os.close(until[0])
    place = json.loads(os.read(tell[0], 4096))
    (folder / "other.gguf").rename(folder / "site" / "model.gguf")  # the name now leads to other bytes
    (folder / "site" / "other.gguf").write_text("another model")
    report: Report = {"layers": []}
    if mode == "confined":
        view = View(environment(), own=folder / "own")
        report["layers"] = list(seal(confine(view, ()), ()).holding)
    attempts = Attempts(folder, model, pid, place).named()
    report["attempts"] = _tried(attempts)
    report["kept"] = _kept(model)
    if mode == "confined":
        thread = threading.Thread(target=lambda: report.update(thread=_tried(attempts)))
        thread.start()
        thread.join()
    sys.stdout.write(json.dumps(report))
    sys.stdout.flush()
    os.close(until[1])
    if mode == "free":
        os.waitpid(pid, 0)


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]))
