"""The observer of a host: has in the audit log what Kubernetes' API was asked to do, and what the host refused.

Runs as a systemd unit with the distribution's Python (3.9 or newer).
"""

from __future__ import annotations

import json
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from deliver import RefusedError, deliver
from observer import Observer

FOLDER = Path("/etc/sovereign/observer")
STATE = Path("/var/lib/sovereign/observer/state.json")
STATUS = Path("/run/sovereign-observer/status.json")
API_LOG, FLOWS = Path("/var/log/kubernetes/audit.log"), Path("/run/cilium/hubble/denied.log")
FIREWALL = ("nft", "-j", "list", "table", "inet", "sovereign")
EVERY_SECONDS, REFUSED_SECONDS, AGAIN_SECONDS = 2.0, 60.0, 5.0


def _listing() -> str:
    """What the firewall counted. Raises ``OSError`` where its table is not there, and ``SubprocessError``."""
    done = subprocess.run(FIREWALL, capture_output=True, check=False, text=True, timeout=60)
    if done.returncode != 0:
        raise OSError(f"the firewall's table cannot be read: {done.stderr.strip()[:200]}")
    return done.stdout


def _say(status: dict[str, Any]) -> None:
    partial = STATUS.with_suffix(".partial")
    partial.write_text(json.dumps(status))
    partial.replace(STATUS)


def main() -> None:
    """Observe, for ever."""
    settings = json.loads((FOLDER / "observer.json").read_text())
    observer = Observer(STATE, lambda items: deliver(items, settings["collector"], FOLDER))
    said, counted, taken = "", 0.0, time.time()
    while True:
        now = time.time()
        causes, more = [], []
        if not 0 <= now - counted < REFUSED_SECONDS:
            causes.append(_tried(lambda at=now: observer.count(FLOWS, _listing, at)))
            counted = now
        causes.append(_tried(observer.tell_refused))
        if settings["api_server"]:
            causes.append(_tried(lambda more=more: more.append(observer.tell_calls(API_LOG))))
        cause = "; ".join(dict.fromkeys(filter(None, causes)))
        taken = taken if cause else now
        if cause != said:
            sys.stderr.write(f"{cause or 'told again'}\n")
            said = cause
        _say({"time": time.time(), "behind": observer.behind, "taken": taken, "cause": cause[:500]})
        if cause or not any(more):
            time.sleep(AGAIN_SECONDS if cause else EVERY_SECONDS)


def _tried(act: Any) -> str:
    """Do something; what kept it from being done, empty when nothing did."""
    try:
        act()
    except (OSError, RefusedError, ValueError, subprocess.SubprocessError) as error:
        return " ".join(str(error).split()) or type(error).__name__
    return ""


if __name__ == "__main__":
    main()
