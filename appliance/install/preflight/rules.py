"""What a host must and should offer, as data."""

from __future__ import annotations

from appliance.install.preflight.facts import Facts, listen_ports
from appliance.install.preflight.rule import GIB, Needs, Rule
from appliance.install.preflight.rules_backup import BACKUP
from appliance.site.processor import QUICK

SOCKET_PATH_BYTES = 107  # sun_path holds 108 with its NUL (unix(7))
MIN_LIBC = (2, 36)  # of the host that compiles the native wheel (its artifact config says the same)
PYTHONS = ((3, 11), (3, 12), (3, 13))  # the wheelhouse has wheels for each (its artifact config says the same)
MACHINES = ("x86_64",)
MIN_CORES = 2
MOST_FSYNC_MS = 10.0  # the log may add as much to a request, of which the sync is nearly all


def _size(count: int) -> str:
    return f"{count / GIB:.1f} GiB"


def _clashing(facts: Facts, needs: Needs) -> list[str]:
    mine = set(listen_ports(needs.config).values())
    return [
        f"{root} ({', '.join(str(p) for p in ports if p in mine)})"
        for root, ports in facts.neighbours.items()
        if mine & set(ports)
    ]


def _busy(facts: Facts) -> str:
    return ", ".join(f"{name} {port} is taken" for name, port in facts.busy_ports.items()) or "free"


RULES: tuple[Rule, ...] = (
    Rule(
        "machine",
        "required",
        lambda f, _: f.machine in MACHINES,
        lambda f, _: f.machine,
        lambda _f, _n: " or ".join(MACHINES),
        "use a host of that kind, or a release built for this one",
    ),
    Rule(
        "processor speed",
        "advised",
        lambda f, _: f.variant is None or f.variant in QUICK,
        lambda f, _: str(f.variant),
        lambda _f, _n: "AVX2",
        "expect answers several times slower; in a virtual machine, pass the host's processor through",
    ),
    Rule(
        "processor",
        "required",
        lambda f, _: f.variant is not None,
        lambda f, _: f"runs the engine's variant {f.variant}" if f.variant else "runs no variant of the engine",
        lambda _f, _n: "SSE4.2 (x86-64-v2)",
        "use a host whose /proc/cpuinfo shows it; in a virtual machine, pass the host's processor through",
    ),
    Rule(
        "gpu",
        "required",
        lambda f, _: not f.missing_gpus,
        lambda f, _: f"without {', '.join(f.missing_gpus)}" if f.missing_gpus else "all that models name are there",
        lambda _f, _n: "each `gpu` of a model in site.yaml",
        "install NVIDIA's driver (`nvidia-smi -L` lists what it runs), or take `gpu` out of the model in site.yaml",
    ),
    Rule(
        "disk",
        "required",
        lambda f, n: f.disk_free >= n.disk,
        lambda f, _: f"{_size(f.disk_free)} free",
        lambda _, n: _size(n.disk),
        "free space on the site root's file system, or choose another --site",
    ),
    Rule(
        "disk latency",
        "advised",
        lambda f, _: f.fsync_ms is None or f.fsync_ms <= MOST_FSYNC_MS,
        lambda f, _: "not measured" if f.fsync_ms is None else f"{f.fsync_ms:.1f} ms (99th percentile of fsync)",
        lambda _f, _n: f"at most {MOST_FSYNC_MS:.0f} ms",
        "expect first words later: they wait for the log's disk; give the site a faster one, or one of its own",
    ),
    Rule(
        "memory",
        "required",
        lambda f, n: f.memory_available >= n.memory,
        lambda f, _: f"{_size(f.memory_available)} available of {_size(f.memory_total)}",
        lambda _, n: _size(n.memory),
        "stop other programs, add memory, or serve fewer models",
    ),
    Rule(
        "cores",
        "advised",
        lambda f, _: f.cores >= MIN_CORES,
        lambda f, _: str(f.cores),
        lambda _f, _n: str(MIN_CORES),
        "expect slow answers on one core",
    ),
    Rule(
        "clock",
        "required",
        lambda f, n: f.now >= n.earliest,
        lambda f, _: f.now.isoformat(timespec="seconds"),
        lambda _, n: f"not before {n.earliest.isoformat(timespec='seconds')}",
        "set the host's clock: the release was made after the time it shows",
    ),
    Rule(
        "c library",
        "required",
        lambda f, _: f.libc is not None and f.libc >= MIN_LIBC,
        lambda f, _: f"glibc {f.libc[0]}.{f.libc[1]}" if f.libc else "not glibc",
        lambda _f, _n: f"glibc {MIN_LIBC[0]}.{MIN_LIBC[1]}",
        "use a newer distribution: the release's programs are built for glibc",
    ),
    Rule(
        "python",
        "required",
        lambda f, _: f.python_version in PYTHONS and f.python_abi.startswith("cpython"),
        lambda f, _: f"{f.python_abi}",
        lambda _f, _n: "CPython " + ", ".join(f"{major}.{minor}" for major, minor in PYTHONS),
        "run sovereign with one of these: the wheelhouse is built for them",
    ),
    Rule(
        "python for services",
        "required",
        lambda f, _: f.python is not None,
        lambda f, _: str(f.python or "none that service users can reach"),
        lambda f, _: "readable by every user" if f.is_root else "the version that runs sovereign",
        "run sovereign with the distribution's python3 (below /usr), or with one that every user can read",
    ),
    Rule(
        "site root",
        "required",
        lambda f, _: f.root_writable,
        lambda f, _: "writable" if f.root_writable else "not writable",
        lambda _f, _n: "writable",
        "run as root, or choose a --site that you may write",
    ),
    Rule(
        "site root is free",
        "required",
        lambda f, _: not f.root_foreign,
        lambda f, _: f"holds {', '.join(f.root_foreign[:5])}" if f.root_foreign else "nothing foreign",
        lambda _f, _n: "nothing but a site",
        "choose an empty folder with --site",
    ),
    Rule(
        "site root reachable",
        "required",
        lambda f, _: not f.is_root or f.root_reachable,
        lambda f, _: "by every user" if f.root_reachable else "closed to service users",
        lambda f, _: "by service users" if f.is_root else "by its owner",
        "choose a --site whose parent folders every user may enter, such as /var/lib/sovereign",
    ),
    Rule(
        "site root and systemd",
        "required",
        lambda f, _: not (f.systemd and f.is_root and f.root_in_home),
        lambda f, _: "in a home folder" if f.root_in_home else "outside home folders",
        lambda _f, _n: "outside home folders where systemd runs",
        "choose a --site outside /home and /root: the units are closed to both",
    ),
    Rule(
        "ports",
        "required",
        lambda f, _: not f.busy_ports,
        lambda f, _: _busy(f),
        lambda _f, _n: "free",
        "stop what listens there (`ss -ltnp` names it), or change listen.* in site.yaml",
    ),
    Rule(
        "other sites",
        "required",
        lambda f, n: not _clashing(f, n),
        lambda f, n: ", ".join(_clashing(f, n)) or "no port shared",
        lambda _f, _n: "ports of its own",
        "change listen.* in site.yaml: another site of this host uses those ports",
    ),
    Rule(
        "address",
        "required",
        lambda f, _: f.local_address,
        lambda f, n: n.config.listen.host if f.local_address else f"{n.config.listen.host} is not this host's",
        lambda _f, _n: "an address of this host",
        "set listen.host to an address that `ip address` lists",
    ),
    Rule(
        "hostname",
        "required",
        lambda f, _: f.hostname_resolves,
        lambda f, n: n.config.listen.hostname if f.hostname_resolves else f"{n.config.listen.hostname} has no address",
        lambda _f, _n: "a name that this host can resolve",
        "add it to /etc/hosts or to the site's name server, or change listen.hostname",
    ),
    Rule(
        "socket paths",
        "required",
        lambda f, _: f.longest_socket <= SOCKET_PATH_BYTES,
        lambda f, _: f"{f.longest_socket} bytes",
        lambda _f, _n: f"at most {SOCKET_PATH_BYTES} bytes",
        "shorten the model's name in site.yaml, or $XDG_RUNTIME_DIR",
    ),
    Rule(
        "tools",
        "required",
        lambda f, _: not f.missing_tools,
        lambda f, _: f"without {', '.join(f.missing_tools)}" if f.missing_tools else "present",
        lambda _f, _n: "useradd and its family",
        "install the distribution's passwd (or shadow-utils) package",
    ),
    *BACKUP,
    Rule(
        "seccomp",
        "required",
        lambda f, _: f.seccomp,
        lambda f, _: "available" if f.seccomp else "missing",
        lambda _f, _n: "available",
        "use a kernel with CONFIG_SECCOMP_FILTER: without it no engine loads a model, unless an officer waives it",
        layer="seccomp",
    ),
    Rule(
        "landlock",
        "required",
        lambda f, _: f.landlock_abi > 0,
        lambda f, _: f"ABI {f.landlock_abi}" if f.landlock_abi else "missing",
        lambda _f, _n: "ABI 1",
        "boot with landlock (lsm=landlock,…): without it no engine loads a model, unless an officer waives it",
        layer="landlock",
    ),
    Rule(
        "user namespaces",
        "advised",
        lambda f, _: f.user_namespaces,
        lambda f, _: "available" if f.user_namespaces else "disabled",
        lambda _f, _n: "available",
        "not used on a host profile; stated for the record",
    ),
)
