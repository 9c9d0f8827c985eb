"""What the filters promise, asked of the programs themselves: for both machines, by number and argument."""

from __future__ import annotations

import errno
import re
from functools import cache
from pathlib import Path

import pytest

from appliance.engine.confinement import bpf
from appliance.engine.confinement.filters import Stage, permits, program
from appliance.engine.confinement.syscalls import ARCHITECTURES, NEWEST
from tests.unit.engine.confinement.bpf_machine import decide

PID = 4711
MACHINES = tuple(ARCHITECTURES)
STAGES: tuple[Stage, ...] = ("preparing", "serving")
REFUSED, ABSENT = bpf.refuse(errno.EPERM), bpf.refuse(errno.ENOSYS)
UNIX, INET, INET6, NETLINK, PACKET, VSOCK = 1, 2, 10, 16, 17, 40
STREAM, DGRAM, SEQPACKET = 1, 2, 5
THREAD = 0x3D0F00  # what pthread_create asks of clone(2)
HEADERS = {
    "x86_64": Path("/usr/include/x86_64-linux-gnu/asm/unistd_64.h"),
    "aarch64": Path("/usr/include/asm-generic/unistd.h"),
}
_NEVER = """
execve execveat fork vfork ptrace process_vm_readv process_vm_writev process_madvise pidfd_open pidfd_getfd
pidfd_send_signal kcmp kill tkill rt_sigqueueinfo rt_tgsigqueueinfo keyctl add_key request_key bpf
perf_event_open userfaultfd io_uring_setup io_uring_enter io_uring_register mount umount2 move_mount open_tree
fsopen fsconfig fsmount fspick mount_setattr pivot_root chroot setns unshare kexec_load kexec_file_load
init_module finit_module delete_module reboot swapon swapoff sethostname setdomainname settimeofday
clock_settime adjtimex personality open_by_handle_at name_to_handle_at memfd_create memfd_secret shmget shmat
msgget semget mq_open setuid setgid setreuid setregid setresuid setresgid setgroups setfsuid setfsgid capset
setrlimit chmod fchmod fchmodat chown fchown fchownat truncate ftruncate rename renameat renameat2 link linkat
symlink symlinkat mkdir mkdirat rmdir mknod mknodat creat utimensat setxattr fsetxattr lsetxattr quotactl acct
syslog iopl ioperm modify_ldt vhangup splice tee vmsplice sendfile copy_file_range fallocate sched_setaffinity
sched_setscheduler sched_setattr setpriority ioprio_set timer_create inotify_init1 fanotify_init signalfd4
lookup_dcookie mbind migrate_pages move_pages set_mempolicy pkey_mprotect wait4 waitid sendmsg recvmsg sendmmsg
recvmmsg
"""
NEVER = frozenset(_NEVER.split())
CASES: dict[str, list[tuple[tuple[int, ...], bool]]] = {
    "socketpair": [((UNIX, STREAM | 0o2000000), True), ((UNIX, DGRAM), False), ((INET, STREAM), False)],
    "sendto": [((3, 0, 0, 0, 0), True), ((3, 0, 0, 0, 0x7FFF_0000), False), ((3, 0, 0, 0, 1 << 40), False)],
    "clone": [((THREAD,), True), ((17,), False), ((THREAD | 0x1000_0000,), False), ((0x4000_0011,), False)]
    + [((THREAD | flag,), False) for flag in (0x80, 0x20000, 0x0200_0000, 0x0400_0000, 0x0800_0000, 0x2000_0000)],
    "tgkill": [((PID, 1, 6), True), ((PID + 1, 1, 9), False), ((1, 1, 9), False)],
    "prlimit64": [((0, 7, 0), True), ((0, 7, 1 << 35), False), ((1, 7, 0), False)],
    "fcntl": [((3, 2), True), ((3, 4), True), ((3, 8), False), ((3, 10), False), ((3, 15), False), ((3, 1033), False)],
    "ioctl": [((0, 0x5401), True), ((0, 0x5412), False), ((0, 0x541C), False), ((0, 0x8901), False)],
    "prctl": [
        ((15,), True),
        ((38,), True),
        ((4, 0), True),
        ((4, 1), False),
        ((8,), False),
        ((22,), False),
        ((24,), False),
        ((1,), False),
    ],
}


@cache
def _program(machine: str, stage: Stage) -> bytes:
    return bpf.assemble(program(stage, ARCHITECTURES[machine], NEWEST, PID))


def _ask(machine: str, stage: Stage, call: str, *arguments: int) -> int:
    architecture = ARCHITECTURES[machine]
    number = architecture.numbers[call]
    return decide(_program(machine, stage), number, arguments, architecture=architecture.audit)


@cache
def _header(machine: str) -> dict[str, int]:
    """Every call of the machine, as the kernel's header numbers it."""
    found = re.findall(r"#define __NR(?:3264)?_(\w+)\s+(\d+)", HEADERS[machine].read_text())
    numbers = {name: int(number) for name, number in found}
    if machine == "aarch64":
        numbers["newfstatat"] = numbers.pop("fstatat")  # one call, two names
    return numbers


needs_headers = pytest.mark.skipif(not all(h.exists() for h in HEADERS.values()), reason="no kernel headers here")


@needs_headers
@pytest.mark.parametrize("machine", MACHINES)
def test_every_number_is_the_kernels(machine: str) -> None:
    ours = ARCHITECTURES[machine].numbers
    assert ours == {name: _header(machine)[name] for name in ours}


@needs_headers
@pytest.mark.parametrize("machine", MACHINES)
@pytest.mark.parametrize("stage", STAGES)
def test_a_call_that_is_not_on_the_list_is_refused(machine: str, stage: Stage) -> None:
    architecture = ARCHITECTURES[machine]
    listed = {permit.call for permit in permits(stage, PID)} | {"clone3", "openat2"}
    for name, number in _header(machine).items():
        if name in listed or number > NEWEST:
            continue
        assert decide(_program(machine, stage), number, architecture=architecture.audit) == REFUSED, name


@needs_headers
@pytest.mark.parametrize("stage", STAGES)
def test_the_list_holds_none_of_the_calls_that_lead_out(stage: Stage) -> None:
    listed = {permit.call for permit in permits(stage, PID)}
    assert not listed & NEVER
    assert set(_header("x86_64")) >= NEVER


@pytest.mark.parametrize("machine", MACHINES)
@pytest.mark.parametrize("stage", STAGES)
def test_what_an_engine_lives_on_is_allowed(machine: str, stage: Stage) -> None:
    for call in (
        "read",
        "write",
        "mmap",
        "futex",
        "accept4",
        "recvfrom",
        "exit_group",
        "rt_sigreturn",
        "landlock_add_rule",
    ):
        assert _ask(machine, stage, call) == bpf.ALLOW, call


@pytest.mark.parametrize("machine", MACHINES)
@pytest.mark.parametrize("family", [UNIX, INET, INET6, NETLINK, PACKET, VSOCK, 0, -1])
@pytest.mark.parametrize("kind", [STREAM, STREAM | 0o4000, DGRAM, SEQPACKET, 3])
def test_a_socket_is_a_unix_stream_and_afterwards_nothing(machine: str, family: int, kind: int) -> None:
    fits = family == UNIX and kind & ~0o2004000 == STREAM
    assert _ask(machine, "preparing", "socket", family, kind) == (bpf.ALLOW if fits else REFUSED)
    assert _ask(machine, "serving", "socket", family, kind) == REFUSED


@pytest.mark.parametrize("machine", MACHINES)
@pytest.mark.parametrize("call", ["connect", "bind"])
def test_nobody_can_be_called_once_a_model_is_served(machine: str, call: str) -> None:
    assert _ask(machine, "preparing", call, 3) == bpf.ALLOW
    assert _ask(machine, "serving", call, 3) == REFUSED


@pytest.mark.parametrize("machine", MACHINES)
@pytest.mark.parametrize("stage", STAGES)
@pytest.mark.parametrize("call", CASES)
def test_an_argument_decides(machine: str, stage: Stage, call: str) -> None:
    for arguments, allowed in CASES[call]:
        assert _ask(machine, stage, call, *arguments) == (bpf.ALLOW if allowed else REFUSED), arguments


TIOCSTI, TIOCLINUX, SIOCGIFCONF, FS_SETFLAGS = 0x5412, 0x541C, 0x8912, 0x4008_6602
RM_CONTROL, UVM_MAP, UVM_INITIALIZE = 0xC020_462A, 0x21, 0x3000_0001


@pytest.mark.parametrize("machine", MACHINES)
@pytest.mark.parametrize("stage", STAGES)
def test_an_engine_with_a_gpu_gives_its_driver_orders_and_no_other_device_any(machine: str, stage: Stage) -> None:
    architecture = ARCHITECTURES[machine]
    number = architecture.numbers["ioctl"]
    with_gpu = bpf.assemble(program(stage, architecture, NEWEST, PID, gpu=True))
    for order in (RM_CONTROL, UVM_MAP, UVM_INITIALIZE):
        assert decide(with_gpu, number, (9, order), architecture=architecture.audit) == bpf.ALLOW
        assert _ask(machine, stage, "ioctl", 9, order) == REFUSED, "without a GPU"
    for order in (TIOCSTI, TIOCLINUX, SIOCGIFCONF, FS_SETFLAGS, 0x3000_0003, 0x100):
        assert decide(with_gpu, number, (9, order), architecture=architecture.audit) == REFUSED, hex(order)


@pytest.mark.parametrize("machine", MACHINES)
def test_with_a_gpu_the_last_stage_still_has_no_socket_no_peer_and_no_file_to_write(machine: str) -> None:
    architecture = ARCHITECTURES[machine]
    served = bpf.assemble(program("serving", architecture, NEWEST, PID, gpu=True))
    for call, arguments in (
        ("socket", (UNIX, SEQPACKET)),
        ("socket", (UNIX, STREAM)),
        ("connect", (3,)),
        ("openat", (-100, 0, 2)),
    ):
        assert decide(served, architecture.numbers[call], arguments, architecture=architecture.audit) == REFUSED, call
    assert not {permit.call for permit in permits("serving", PID, gpu=True)} & NEVER


@pytest.mark.parametrize("machine", MACHINES)
@pytest.mark.parametrize("flags", [0o1, 0o2, 0o3, 0o100, 0o1000, 0o20200002])
def test_a_file_is_opened_for_reading_only_once_a_model_is_served(machine: str, flags: int) -> None:
    assert _ask(machine, "serving", "openat", -100, 0, flags) == REFUSED
    assert _ask(machine, "serving", "openat", -100, 0, 0o2000000) == bpf.ALLOW


def test_bits_above_an_int_change_nothing_the_kernel_would_not_see() -> None:
    assert _ask("x86_64", "preparing", "socket", INET | 1 << 32, STREAM) == REFUSED
    assert _ask("x86_64", "preparing", "socket", UNIX | 1 << 32, STREAM) == bpf.ALLOW


@pytest.mark.parametrize("machine", MACHINES)
@pytest.mark.parametrize("stage", STAGES)
@pytest.mark.parametrize("call", ["clone3", "openat2"])
def test_a_call_whose_flags_cannot_be_seen_does_not_exist(machine: str, stage: Stage, call: str) -> None:
    assert _ask(machine, stage, call) == ABSENT


@pytest.mark.parametrize("stage", STAGES)
def test_a_call_newer_than_the_list_does_not_exist(stage: Stage) -> None:
    assert decide(_program("x86_64", stage), NEWEST + 1) == ABSENT
    assert decide(_program("x86_64", stage), NEWEST) == REFUSED


@pytest.mark.parametrize("stage", STAGES)
@pytest.mark.parametrize("machine", MACHINES)
@pytest.mark.parametrize("architecture", [0x4000_0003, 0xC000_00B7, 0x4000_0028, 0xC000_003E, 0])
def test_a_call_for_another_machine_ends_the_process(stage: Stage, machine: str, architecture: int) -> None:
    if architecture != ARCHITECTURES[machine].audit:
        assert decide(_program(machine, stage), 0, architecture=architecture) == bpf.KILL_PROCESS


@pytest.mark.parametrize("stage", STAGES)
@pytest.mark.parametrize("number", [0x4000_0000, 0x4000_0029, 0x7FFF_FFFF, 0xFFFF_FFFF])
def test_an_x32_call_ends_the_process(stage: Stage, number: int) -> None:
    assert decide(_program("x86_64", stage), number) == bpf.KILL_PROCESS
