"""The kernel calls that an engine may make, by name and number.

The numbers are the kernel's ABI (asm/unistd_64.h, asm-generic/unistd.h) and never change. A dash: the machine has no
such call. A call that is not named here has no number, so that nothing can allow it by mistake.
"""

from __future__ import annotations

import platform
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

NEWEST = 451
"""The highest number whose call was considered; what is newer does not exist for an engine."""


@dataclass(frozen=True)
class Architecture:
    """One machine's calling convention. ``foreign`` is where numbers of another convention begin (x32)."""

    audit: int
    numbers: Mapping[str, int]
    foreign: int | None = None


_TABLE = """
read 0 63
write 1 64
readv 19 65
writev 20 66
pread64 17 67
pwrite64 18 68
preadv 295 69
lseek 8 62
close 3 57
close_range 436 436
dup 32 23
dup2 33 -
dup3 292 24
fcntl 72 25
flock 73 32
ioctl 16 29
pipe2 293 59
eventfd2 290 19
poll 7 -
ppoll 271 73
select 23 -
pselect6 270 72
epoll_create1 291 20
epoll_ctl 233 21
epoll_wait 232 -
epoll_pwait 281 22
epoll_pwait2 441 441
open 2 -
openat 257 56
openat2 437 437
access 21 -
faccessat 269 48
faccessat2 439 439
stat 4 -
fstat 5 80
lstat 6 -
newfstatat 262 79
statx 332 291
statfs 137 43
fstatfs 138 44
readlink 89 -
readlinkat 267 78
getdents64 217 61
getcwd 79 17
umask 95 166
fadvise64 221 223
unlink 87 -
unlinkat 263 35
brk 12 214
mmap 9 222
munmap 11 215
mremap 25 216
mprotect 10 226
madvise 28 233
membarrier 324 283
clone 56 220
clone3 435 435
futex 202 98
futex_waitv 449 449
set_robust_list 273 99
get_robust_list 274 100
set_tid_address 218 96
rseq 334 293
arch_prctl 158 -
prctl 157 167
exit 60 93
exit_group 231 94
gettid 186 178
getpid 39 172
getppid 110 173
getuid 102 174
geteuid 107 175
getgid 104 176
getegid 108 177
getresuid 118 148
getresgid 120 150
getgroups 115 158
getpgrp 111 -
getpgid 121 155
getsid 124 156
sched_yield 24 124
sched_getaffinity 204 123
sched_getparam 143 121
sched_getscheduler 145 120
sched_get_priority_max 146 125
sched_get_priority_min 147 126
getpriority 140 141
getcpu 309 168
rt_sigaction 13 134
rt_sigprocmask 14 135
rt_sigreturn 15 139
rt_sigpending 127 136
rt_sigsuspend 130 133
rt_sigtimedwait 128 137
sigaltstack 131 132
tgkill 234 131
restart_syscall 219 128
clock_gettime 228 113
clock_getres 229 114
clock_nanosleep 230 115
nanosleep 35 101
gettimeofday 96 169
time 201 -
getrusage 98 165
times 100 153
uname 63 160
sysinfo 99 179
getrandom 318 278
getrlimit 97 163
prlimit64 302 261
socket 41 198
socketpair 53 199
bind 49 200
listen 50 201
accept 43 202
accept4 288 242
connect 42 203
getsockname 51 204
getpeername 52 205
getsockopt 55 209
setsockopt 54 208
shutdown 48 210
sendto 44 206
recvfrom 45 207
seccomp 317 277
landlock_create_ruleset 444 444
landlock_add_rule 445 445
landlock_restrict_self 446 446
"""


def _column(index: int) -> dict[str, int]:
    rows = (line.split() for line in _TABLE.strip().splitlines())
    return {row[0]: int(row[index]) for row in rows if row[index] != "-"}


ARCHITECTURES: Mapping[str, Architecture] = {
    "x86_64": Architecture(audit=0xC000_003E, numbers=_column(1), foreign=0x4000_0000),
    "aarch64": Architecture(audit=0xC000_00B7, numbers=_column(2)),
}


def native() -> Architecture | None:
    """This machine's, where it is one of those that are known here."""
    return ARCHITECTURES.get(platform.machine())
