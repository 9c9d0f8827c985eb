"""Which kernel calls an engine keeps, as data, and the seccomp programs made of them.

An allow list: what is not named is refused, and a call newer than this list does not exist (``ENOSYS``, so that the C
library falls back on an older one). A call made for another architecture ends the process. Two stages, each a whole
program of its own; the second is laid over the first, and the stricter answer counts:

- ``preparing``: a model is verified and logged, the libraries that will read it are loaded. Sockets are ``AF_UNIX``
  streams only, so that no datagram can be sent to an address of its own.
- ``serving``: native code reads the model. No new socket but a connected pair, no ``connect``, no ``bind``: the engine
  answers those who come to it and can go to nobody, the audit log included. No file is opened for writing.
- ``parsing``: native code reads a stranger's document (``appliance.memory.parsing``). It reads and writes descriptors
  that it was given, takes memory and ends; there is no call that names a file, a process or a peer.

An engine that computes on a GPU may in the first two give that device's driver its orders, which are ``ioctl`` calls
with numbers of the driver's own, on the device files that landlock leaves it; in the first, also open the socket by
which the driver's library passes on memory (``SOCK_SEQPACKET``).

In all: no process is started (``clone`` makes threads only), no program is executed, nobody is signalled but the
process itself, and no call is kept whose danger lies behind a pointer, where a filter cannot look.
"""

from __future__ import annotations

import errno
import fcntl
import os
import socket
import termios
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from appliance.engine.confinement import bpf

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from appliance.engine.confinement.syscalls import Architecture

Stage = Literal["preparing", "serving", "parsing"]

_INT = 0xFFFF_FFFF  # the kernel reads an int from the lower half and ignores the rest
_POINTER = 0xFFFF_FFFF_FFFF_FFFF
_CLONE_THREAD = 0x0001_0000
_CLONE_NEW = 0x7E02_0080  # every namespace: time, mount, cgroup, uts, ipc, user, pid, net (sched.h)
_WRITING = os.O_ACCMODE | os.O_CREAT | os.O_TRUNC
_PLAIN_SOCKET = _INT & ~(socket.SOCK_CLOEXEC | socket.SOCK_NONBLOCK)
_SET_DUMPABLE = 4
_PRCTL = (3, 15, 16, 21, 23, 38, 39, 0x5356_4D41)  # get dumpable, name, seccomp, bounds; no_new_privs; name a mapping
_IOCTL = (termios.FIOCLEX, termios.FIONCLEX, termios.FIONBIO, termios.FIONREAD, termios.TCGETS, termios.TIOCGWINSZ)
_NVIDIA = (  # argument 1 of ioctl: a mask and a value (nv-ioctl-numbers.h, uvm_ioctl.h, uvm_linux_ioctl.h)
    (0x0000_FF00, ord("F") << 8),
    (0xFFFF_FF00, 0),
    (_INT, 0x3000_0001),
    (_INT, 0x3000_0002),
)
_FCNTL = (fcntl.F_DUPFD, fcntl.F_GETFD, fcntl.F_SETFD, fcntl.F_GETFL, fcntl.F_SETFL, fcntl.F_DUPFD_CLOEXEC)

_PLAIN = """
read write readv writev pread64 preadv pwrite64 lseek close close_range dup dup2 dup3 pipe2 eventfd2
poll ppoll select pselect6 epoll_create1 epoll_ctl epoll_wait epoll_pwait epoll_pwait2
access faccessat faccessat2 stat fstat lstat newfstatat statx statfs fstatfs readlink readlinkat
getdents64 getcwd umask fadvise64 unlink unlinkat
brk mmap munmap mremap mprotect madvise membarrier
futex futex_waitv set_robust_list get_robust_list set_tid_address rseq arch_prctl exit exit_group
gettid getpid getppid getuid geteuid getgid getegid getresuid getresgid getgroups getpgrp getpgid getsid
sched_yield sched_getaffinity sched_getparam sched_getscheduler sched_get_priority_max sched_get_priority_min
getpriority getcpu
rt_sigaction rt_sigprocmask rt_sigreturn rt_sigpending rt_sigsuspend rt_sigtimedwait sigaltstack restart_syscall
clock_gettime clock_getres clock_nanosleep nanosleep gettimeofday time getrusage times
uname sysinfo getrandom getrlimit
listen accept accept4 getsockname getpeername getsockopt setsockopt shutdown recvfrom
seccomp landlock_create_ruleset landlock_add_rule landlock_restrict_self
"""
_PARSING = """
read readv pread64 write writev lseek close fstat
brk mmap munmap mremap mprotect madvise
futex set_robust_list rseq exit exit_group
gettid getpid getppid getuid geteuid getgid getegid
sched_yield sched_getaffinity
rt_sigaction rt_sigprocmask rt_sigreturn sigaltstack restart_syscall
clock_gettime clock_getres clock_nanosleep nanosleep gettimeofday time getrusage times
uname sysinfo getrandom getrlimit
"""
_PREPARING = ("bind", "connect", "flock", "open", "openat")
_ABSENT = ("clone3", "openat2")  # their flags lie behind a pointer; the C library falls back on clone and openat


@dataclass(frozen=True)
class Test:
    """One argument, masked, is a value."""

    argument: int
    mask: int
    value: int


@dataclass(frozen=True)
class Permit:
    """A call that is allowed: always, or when every test of one alternative holds."""

    call: str
    alternatives: tuple[tuple[Test, ...], ...] = ()


def permits(stage: Stage, process: int, *, gpu: bool = False) -> tuple[Permit, ...]:
    """Everything that the process ``process`` may call at ``stage``; ``gpu``: it computes on one."""
    if stage == "parsing":
        return (
            *map(Permit, _PARSING.split()),
            *_to_itself(process),
            _one_of("fcntl", 1, (fcntl.F_GETFD, fcntl.F_GETFL)),
        )
    found = [*map(Permit, _PLAIN.split()), *_conditional(process, gpu=gpu)]
    if stage == "preparing":
        kinds = (socket.SOCK_STREAM, socket.SOCK_SEQPACKET) if gpu else (socket.SOCK_STREAM,)
        found += [*map(Permit, _PREPARING), _unix_socket("socket", *kinds)]
    else:
        found += [
            Permit("open", ((Test(1, _WRITING, os.O_RDONLY),),)),
            Permit("openat", ((Test(2, _WRITING, os.O_RDONLY),),)),
        ]
    return tuple(found)


def _conditional(process: int, *, gpu: bool) -> Iterator[Permit]:
    yield _unix_socket("socketpair", socket.SOCK_STREAM)
    yield Permit("sendto", ((Test(4, _POINTER, 0),),))  # to the peer, never to an address
    yield Permit("clone", ((Test(0, _CLONE_THREAD | _CLONE_NEW, _CLONE_THREAD),),))
    yield from _to_itself(process)
    yield _one_of("fcntl", 1, _FCNTL)  # F_SETOWN would signal another process
    orders = tuple((Test(1, mask, value),) for mask, value in _NVIDIA) if gpu else ()
    yield Permit("ioctl", (*_one_of("ioctl", 1, _IOCTL).alternatives, *orders))  # TIOCSTI would type into a terminal
    undump = (Test(0, _INT, _SET_DUMPABLE), Test(1, _POINTER, 0))
    yield Permit("prctl", (undump, *_one_of("prctl", 0, _PRCTL).alternatives))


def _to_itself(process: int) -> Iterator[Permit]:
    yield Permit("tgkill", ((Test(0, _INT, process),),))
    yield Permit("prlimit64", ((Test(0, _INT, 0), Test(2, _POINTER, 0)),))  # reading one's own


def _unix_socket(call: str, *kinds: int) -> Permit:
    return Permit(call, tuple((Test(0, _INT, socket.AF_UNIX), Test(1, _PLAIN_SOCKET, kind)) for kind in kinds))


def _one_of(call: str, argument: int, values: Iterable[int]) -> Permit:
    return Permit(call, tuple((Test(argument, _INT, value),) for value in values))


def program(stage: Stage, architecture: Architecture, newest: int, process: int, *, gpu: bool = False) -> bpf.Block:
    """The filter of ``stage``: whose call it is, then each permit, then the refusal. Pure."""
    outcome_absent = (bpf.give(bpf.refuse(errno.ENOSYS)),)
    head: bpf.Block = (
        bpf.load(bpf.ARCHITECTURE),
        bpf.Instruction(bpf.JUMP_EQUAL, architecture.audit, yes=1),
        bpf.give(bpf.KILL_PROCESS),
        bpf.load(bpf.NUMBER),
    )
    if architecture.foreign is not None:
        head += bpf.when_at_least(architecture.foreign, (bpf.give(bpf.KILL_PROCESS),))
    head += bpf.when_at_least(newest + 1, outcome_absent)
    numbers = architecture.numbers
    for call in _ABSENT:
        head += bpf.when_equal(numbers[call], outcome_absent)
    kept = (permit for permit in permits(stage, process, gpu=gpu) if permit.call in numbers)
    allowed = (bpf.when_equal(numbers[permit.call], _block(permit)) for permit in kept)
    return (*head, *(i for block in allowed for i in block), bpf.give(bpf.refuse(errno.EPERM)))


def _block(permit: Permit) -> bpf.Block:
    if not permit.alternatives:
        return (bpf.give(bpf.ALLOW),)
    ways = (i for tests in permit.alternatives for i in _conjunction(tests))
    return (*ways, bpf.give(bpf.refuse(errno.EPERM)))


def _conjunction(tests: tuple[Test, ...]) -> bpf.Block:
    """Allow when every test holds; else on to what follows."""
    block: bpf.Block = (bpf.give(bpf.ALLOW),)
    for test in reversed(tests):
        for high in (True, False):
            bits, value = (word >> 32 * high & _INT for word in (test.mask, test.value))
            if bits:
                block = (
                    bpf.load(bpf.argument(test.argument, high=high)),
                    bpf.mask(bits),
                    bpf.unless_equal(value, len(block)),
                    *block,
                )
    return block
