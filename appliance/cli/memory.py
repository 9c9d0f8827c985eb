"""`sovereign memory`: what the assistant makes of what it has."""

from __future__ import annotations

from appliance.cli.root import new_app

app = new_app()


@app.callback()
def memory() -> None:
    """What the site remembers and where, and what it is told before anybody asks."""
