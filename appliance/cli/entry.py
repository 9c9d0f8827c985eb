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
        _load_log()
        from appliance.cli.serve import app  # noqa: PLC0415 - the other tree is not loaded
    else:
        from appliance.cli.main import app  # noqa: PLC0415 - the other tree is not loaded
    run_app(app)


def _load_log() -> None:
    """Load structlog as where rich is not installed: it would load it for tracebacks on a terminal, which nobody sees.

    That is five megabytes in each service. A name that stands for None in ``sys.modules`` cannot be imported (Python's
    reference, 5.3.1); afterwards it can.
    """
    sys.modules["rich"] = None  # type: ignore[assignment]  # None: it cannot be imported
    import structlog  # noqa: F401, PLC0415 - loaded while rich is not to be had

    del sys.modules["rich"]
