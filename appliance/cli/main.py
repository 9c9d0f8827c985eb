"""The command tree that people see."""

from __future__ import annotations

from appliance.cli import (
    audit,
    bundle,
    bundle_build,
    bundle_delta,
    bundle_inputs,
    bundle_media,
    bundle_store,
    chat,
    client,
    host,
    identity,
    inventory,
    model,
    model_publish,
    model_serve,
    returns,
    trust,
    trust_card,
    user,
    waive_host,
)
from appliance.cli.root import new_app

app = new_app()
bundle_build.register(bundle.app)
bundle_store.register(bundle.app)
model_publish.register(model.app)
model_serve.register(model.app)
bundle_media.register(bundle.app)
bundle_delta.register(bundle.app)
bundle.app.add_typer(bundle_inputs.app, name="inputs")
app.add_typer(bundle.app, name="bundle")
trust_card.register(trust.app)
trust.app.command("waive-host")(waive_host.waive_host)
app.add_typer(trust.app, name="trust")
app.add_typer(model.app, name="model")
host.register(app)
app.add_typer(audit.app, name="audit")
app.add_typer(inventory.app, name="inventory")
app.add_typer(returns.app, name="return")
app.add_typer(user.app, name="user")
app.add_typer(client.app, name="client")
app.add_typer(identity.app, name="identity")
app.command("chat")(chat.chat)
