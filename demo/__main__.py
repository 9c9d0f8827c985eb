"""`make demo`: build, sign, verify, install, serve. With --once: sign in, ask, audit, stop."""

from __future__ import annotations

import argparse
import json
import os
import shutil
import signal
import sys
import time
from pathlib import Path

from demo import once, release, site
from demo.workspace import REPOSITORY, Workspace, sovereign

STEPS = (
    ("a root of trust: three persons, two must sign", release.make_keys),
    ("build the bundle from the lock", release.build),
    ("sign it: two persons, then the release key", release.sign),
    ("verify it as a site that sees it for the first time", release.verify),
    ("describe the site; an officer signs a waiver for the model", site.write_site),
    ("install and start", site.install),
    ("let people in", site.import_people),
)


def main() -> None:
    """Run every step and say what it took; always stop what was started."""
    parser = argparse.ArgumentParser(prog="make demo", description=__doc__)
    parser.add_argument("--once", action="store_true", help="play two people and stop")
    parser.add_argument("--folder", type=Path, default=REPOSITORY / ".demo", help="where everything of it goes")
    parser.add_argument("--port", type=int, default=8080, help="the assistant's; the four after it are used too")
    options = parser.parse_args()
    workspace = Workspace(options.folder, options.port)
    _start_clean(workspace)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    signal.signal(signal.SIGINT, signal.default_int_handler)  # even where a shell started us with it ignored
    began = time.monotonic()
    try:
        for number, (title, step) in enumerate(STEPS, 1):
            _headline(f"{number}/{len(STEPS)}  {title}", began)
            step(workspace)
        if options.once:
            _headline("two people sign in and ask", began)
            once.play(workspace)
        else:
            _serve(workspace, began)
    except KeyboardInterrupt:
        print()
    finally:
        if (workspace.site / "site.yaml").exists():
            _headline("stop", began)
            sovereign("--site", workspace.site, "down", check=False)
    _headline("done", began)


def _start_clean(workspace: Workspace) -> None:
    """Remove an earlier demonstration: it is thrown away whole, its site through the command that knows how."""
    if workspace.site.exists():
        sovereign("--site", workspace.site, "uninstall", "--yes", "--discard-log")
    if workspace.root.exists():
        shutil.rmtree(workspace.root)
    workspace.root.mkdir(parents=True)


def _serve(workspace: Workspace, began: float) -> None:
    facts = json.loads(workspace.facts.read_text())
    _headline(f"open {facts['url']}", began)
    for person in facts["users"]:
        print(f"    {person['name']:<10} {person['password']}   ({', '.join(person['groups'])})")
    print(f"    {workspace.facts} has this for scripts; Ctrl-C stops the assistant", flush=True)
    signal.pause()


def _headline(text: str, began: float) -> None:
    seconds = f"{time.monotonic() - began:6.1f} s"
    styled = sys.stdout.isatty() and "NO_COLOR" not in os.environ
    print(f"\n\033[1;32m━━ {seconds}  {text}\033[0m" if styled else f"\n━━ {seconds}  {text}", flush=True)


if __name__ == "__main__":
    main()
