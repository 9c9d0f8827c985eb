"""Entry point of the `sovereign` command.

What service managers and pods call (`serve`, `await`, `settle-realm`) has a command tree of its own, so that a service
process does not load the whole command line: that is seconds at every start on a small host, and tens of megabytes in
each of its processes.
"""

from __future__ import annotations

import sys

from appliance.cli.root import run_app

_FOR_SERVICES = {"serve", "await", "settle-realm"}


def run() -> None:
    """Run the command that the arguments name, and exit."""
    if _FOR_SERVICES & set(sys.argv[1:4]):
        from appliance.cli.serve import app  # noqa: PLC0415 - the other tree is not loaded
    else:
        from appliance.cli.main import app  # noqa: PLC0415 - the other tree is not loaded
    run_app(app)
