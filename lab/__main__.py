"""Test hosts with no way out: `python -m lab up N | down | ssh NAME [COMMAND…] | list | cut NAME | start NAME`."""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path

from lab.lab import Lab


def main() -> int:
    """Run one command; its exit code."""
    parser = argparse.ArgumentParser(prog="lab", description=__doc__)
    parser.add_argument("--folder", type=Path, default=Path(os.environ.get("SOVEREIGN_LAB", ".lab")))
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("up").add_argument("count", type=int)
    commands.add_parser("down")
    commands.add_parser("list")
    for name in ("cut", "start", "ssh"):
        commands.add_parser(name).add_argument("name")
    given, rest = parser.parse_known_args()
    if os.geteuid() != 0:
        parser.exit(2, "error: the lab needs root: it makes network namespaces and boots machines\n")
    return act(Lab(given.folder.resolve()), given, rest)


def act(lab: Lab, given: argparse.Namespace, rest: list[str]) -> int:
    """Carry out what was asked."""
    match given.command:
        case "up":
            lab.up(given.count)
            show(lab)
        case "down":
            lab.down()
        case "list":
            show(lab)
        case "cut":
            lab.cut_power(given.name)
        case "start":
            lab.start(given.name)
        case "ssh":
            argv = lab.ssh(given.name, rest)
            os.execvp(argv[0], argv)  # noqa: S606 - the terminal is the operator's
    return 0


def show(lab: Lab) -> None:
    """Print a line for each host."""
    for seat in lab.state().seats:
        condition = "up" if seat.process and seat.process.alive else "off"
        sys.stdout.write(f"{seat.node.name}  {seat.node.address}  {condition}\n")


if __name__ == "__main__":
    sys.exit(main())
