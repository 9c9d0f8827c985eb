"""The site's half of ``sovereign audit witness``: enrol a witness, hand it a request, put back what it cosigned.

Enrolling and delivering are entered in the log before they happen; without a durable entry nothing changes.
"""

from __future__ import annotations

import os
import secrets
from pathlib import Path  # noqa: TC003 - typer reads the annotations at run time
from typing import Annotated

import typer
from rich.text import Text

from airgap_bundle import durable
from airgap_bundle.digest import sha256
from appliance.audit.client import SyncAuditClient
from appliance.audit.cosigned import brought_back, read_witnesses
from appliance.audit.delivery import check_delivery, enrolled
from appliance.audit.events import admin_change
from appliance.audit.roles import OPERATOR
from appliance.audit.witness_request import make_request
from appliance.cli.audit_looks import looked_at
from appliance.cli.audit_options import WITNESSES, LogOption, VkeysOption, verifier_keys, write_text
from appliance.cli.reached import own_log, reached
from appliance.cli.terminal import OutputFormat, OutputOption, emit
from appliance.errors import UsageError
from appliance.site.paths import AUDIT


def register(app: typer.Typer) -> None:
    """Add the commands to the group ``audit witness``."""
    app.command()(enrol)
    app.command()(request)
    app.command()(deliver)


def enrol(
    context: typer.Context,
    vkeys: Annotated[Path, typer.Argument(metavar="FILE", help="The witness's witness.vkeys.")],
    output: OutputOption = OutputFormat.table,
) -> None:
    """At the site: make a witness known, so that its cosignatures count. Compare the key ids by voice."""
    paths = reached(context)
    origin = verifier_keys(context, None)[0].name
    witness, after = enrolled(paths.policies / WITNESSES, _text(vkeys), origin)
    ids = [key.key_id.hex() for key in witness.keys]
    detail = f"key ids {', '.join(ids)}"
    file = paths.policies / WITNESSES
    event = admin_change(
        actor=_actor(),
        action="enroll",
        kind="witness",
        target=witness.name,
        detail=detail,
        before_digest=str(sha256(file.read_bytes())) if file.exists() else None,
        after_digest=str(sha256(after.encode())),
    )
    with SyncAuditClient(paths.socket(AUDIT)) as audit:
        audit.append(event, id=OPERATOR.id("witness", secrets.token_hex(16)))
    durable.replace(file, after.encode())
    emit(
        {"witness": witness.name, "key_ids": ids},
        output,
        lambda console: console.print(Text(f"witness {witness.name} is enrolled: key ids {', '.join(ids)}")),
    )


def request(
    context: typer.Context,
    out: Annotated[Path, typer.Option("--out", metavar="FILE", help="The request, to be carried to the witness.")],
    old: Annotated[
        int | None,
        typer.Option("--old", min=0, help="How many entries the witness cosigned; default: what it brought back."),
    ] = None,
    log: LogOption = None,
    vkeys: VkeysOption = None,
) -> None:
    """At the site: write the checkpoint, and the proof that it extends the witness's last, for a witness elsewhere."""
    keys, folder = verifier_keys(context, vkeys), looked_at(context, log, "request to a witness")
    if old is None:
        known = brought_back(folder, keys, read_witnesses(reached(context).policies / WITNESSES))
        if len(known) > 1:
            raise UsageError("several witnesses are known here", "say with --old what yours cosigned")
        old = known[0].head.size if known else 0
    write_text(make_request(folder, old, vkeys=keys).encode().decode(), out)


def deliver(
    context: typer.Context,
    cosigned: Annotated[Path, typer.Argument(metavar="FILE", help="What `sovereign audit witness cosign` wrote.")],
    output: OutputOption = OutputFormat.table,
) -> None:
    """At the site: put a cosigned checkpoint beside the log, where `verify` and `status` count it."""
    paths = reached(context)
    data, keys = _text(cosigned).encode(), verifier_keys(context, None)
    witnesses = read_witnesses(paths.policies / WITNESSES)
    found = check_delivery(own_log(paths), data, log_keys=keys, witnesses=witnesses)
    names = ", ".join(one.witness for one in found)
    detail = f"{found[0].head.size} entries, root {found[0].head.root.hex()}"
    event = admin_change(actor=_actor(), action="update", kind="witness", target=names, detail=detail)
    with SyncAuditClient(paths.socket(AUDIT)) as audit:
        audit.append(event, id=OPERATOR.id("witness", secrets.token_hex(16)))
        audit.shelve(data)
    emit(
        {"witnesses": [one.witness for one in found], "size": found[0].head.size},
        output,
        lambda console: console.print(Text(f"{names} vouches for the first {found[0].head.size} entries")),
    )


def _actor() -> str:
    return f"uid {os.getuid()}"


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"{path} cannot be read: {error}") from error
