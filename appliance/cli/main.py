"""The command tree that people see."""

from __future__ import annotations

from appliance.cli import (
    audit,
    bundle,
    bundle_build,
    chat,
    client,
    host,
    identity,
    model,
    model_publish,
    trust,
    trust_card,
    user,
)
from appliance.cli.root import new_app

app = new_app()
bundle_build.register(bundle.app)
model_publish.register(model.app)
app.add_typer(bundle.app, name="bundle")
trust_card.register(trust.app)
app.add_typer(trust.app, name="trust")
app.add_typer(model.app, name="model")
host.register(app)
app.add_typer(audit.app, name="audit")
app.add_typer(user.app, name="user")
app.add_typer(client.app, name="client")
app.add_typer(identity.app, name="identity")
app.command("chat")(chat.chat)
