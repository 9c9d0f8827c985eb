"""The text of supervisord's one configuration file: itself, the keeper, and a program for each service. Pure."""

from __future__ import annotations

import os
import shutil
from typing import TYPE_CHECKING

from appliance.install.keeper import KEEPER
from appliance.install.process import PATH
from appliance.install.services import MIB, runtime_environment

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from appliance.install.services import Service
    from appliance.site.paths import SitePaths

LOG_BYTES = 10 * 1024 * 1024
LOG_COPIES = 5
_KEPT = {"directory": "/", "autorestart": "true", "startretries": "100000", "redirect_stderr": "true"}


def configuration(paths: SitePaths, services: Sequence[Service], site: str, socket: Path) -> str:
    """The file for the site called ``site``; supervisord listens on ``socket``, which only its owner may open."""
    factory = {"supervisor.rpcinterface_factory": "supervisor.rpcinterface:make_main_rpcinterface"}
    head = _section("unix_http_server", {"file": str(socket), "chmod": "0700"})
    head += _section("supervisord", _daemon(paths, site))
    head += _section("rpcinterface:supervisor", factory)
    head += _section(f"program:{KEEPER}", _keeper(paths))
    return head + "".join(_section(f"program:{s.name}", _program(s)) for s in services)


def _daemon(paths: SitePaths, site: str) -> dict[str, str]:
    return {
        "identifier": site,
        "pidfile": str(paths.run / "supervisord.pid"),
        "logfile": str(paths.log("supervisord")),
        "logfile_maxbytes": str(LOG_BYTES),
        "logfile_backups": str(LOG_COPIES),
        "childlogdir": str(paths.log("x").parent),
        "umask": "027",
        "silent": "true",
        **({"user": "root"} if os.geteuid() == 0 else {}),
    }


def _keeper(paths: SitePaths) -> dict[str, str]:
    """The one program that is not told to stop when supervisord dies."""
    argv = (str(paths.env / "bin" / "python"), "-m", "appliance.install.keeper", str(paths.root))
    env = {"PATH": PATH, "LANG": "C.UTF-8", "PYTHONDONTWRITEBYTECODE": "1", **runtime_environment(paths)}
    return {
        **_KEPT,
        "command": _command((*_only(env), *argv)),
        "priority": "1000",  # the first to be stopped
        "autostart": "true",
        "stdout_logfile": str(paths.log(KEEPER)),
        "stdout_logfile_maxbytes": "0",  # the keeper writes to it itself when supervisord is gone
    }


def _program(service: Service) -> dict[str, str]:
    return {
        **_KEPT,
        "command": _command((*_harness(service), *service.argv)),
        **({"user": service.user} if os.geteuid() == 0 else {}),
        "autostart": "false",
        "startsecs": "1",
        "stopsignal": service.stop_signal.name.removeprefix("SIG"),
        "stopwaitsecs": str(service.stop_timeout_s),
        "killasgroup": "true",
        "stdout_logfile": str(service.log),
        "stdout_logfile_maxbytes": str(LOG_BYTES),
        "stdout_logfile_backups": str(LOG_COPIES),
    }


def _harness(service: Service) -> tuple[str, ...]:
    """No new privileges, the stop signal when supervisord dies (prctl(2)), bounded memory, no inherited environment.

    Memory is what a process may write to, by ``RLIMIT_DATA`` (getrlimit(2)): a mapped model or jar does not count, nor
    does what Java reserves and does not use. It holds for each process by itself.
    """
    setpriv, prlimit = (shutil.which(name, path=PATH) for name in ("setpriv", "prlimit"))
    signal_name = service.stop_signal.name.removeprefix("SIG")
    tether = (setpriv, "--no-new-privs", "--pdeathsig", signal_name, "--") if setpriv else ()
    bound = (prlimit, f"--data={service.memory_mib * MIB}", "--") if prlimit else ()
    return (*tether, *bound, *_only(service.env))


def _only(env: Mapping[str, str]) -> tuple[str, ...]:
    """What runs a program with ``env`` and nothing else: supervisord cannot express every value, and adds its own."""
    return (shutil.which("env", path=PATH) or "/usr/bin/env", "-i", *(f"{k}={v}" for k, v in env.items()))


def _section(name: str, values: Mapping[str, str]) -> str:
    return f"[{name}]\n" + "".join(f"{k}={v}\n" for k, v in values.items()) + "\n"


def _command(argv: Sequence[str]) -> str:
    return " ".join(_word(word) for word in argv)


def _word(text: str) -> str:
    """One shell-like word of a command line; supervisord expands ``%(name)s``."""
    return "'" + text.replace("'", "'\"'\"'").replace("%", "%%") + "'"
