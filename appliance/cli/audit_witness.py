"""``sovereign audit witness``: an auditor's memory of the log, and how it travels between laptop and site.

At the auditor's: init, check, cosign. At the site: enrol, request, deliver. Nothing here needs a network.
"""

from __future__ import annotations

import time
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.text import Text

from appliance.audit import witness as folders
from appliance.audit.checkpoint import read_vkeys
from appliance.audit.errors import LogForkedError, LogReplacedError
from appliance.audit.stored import examine_stored
from appliance.audit.usage_table import printable
from appliance.audit.witness_keys import WitnessKeys
from appliance.audit.witness_request import Request
from appliance.cli.audit_options import LogOption, log_folder, write_text
from appliance.cli.audit_witness_site import register as register_site
from appliance.cli.signers import NewPassphrase
from appliance.cli.terminal import (
    OutputFormat,
    OutputOption,
    PassphraseFdOption,
    emit,
    progress,
    read_passphrase,
    say,
)
from appliance.errors import UsageError

if TYPE_CHECKING:
    from rich.console import Console

    from appliance.audit.witness import Seen, WitnessFolder

app = typer.Typer(
    help="Keep and cosign what the log signed, so that a rewind, a fork or a replacement is seen.", no_args_is_help=True
)
register_site(app)
FolderArgument = Annotated[Path, typer.Argument(metavar="FOLDER", help="The witness's folder, on a laptop or stick.")]
RequestOption = Annotated[
    Path | None,
    typer.Option("--request", metavar="FILE", help="A request carried from the site, instead of the log itself."),
]


@app.command()
def init(
    folder: FolderArgument,
    name: Annotated[str, typer.Option("--name", help="The witness's name, as in auditor.example/w1.")],
    vkeys: Annotated[Path, typer.Option("--vkeys", metavar="FILE", help="The log's verifier keys, from the site.")],
    passphrase_fd: PassphraseFdOption = None,
    output: OutputOption = OutputFormat.table,
) -> None:
    """Make a witness: keys of its own (encrypted), and the log that it will watch, by the site's verifier keys."""
    log_keys = read_vkeys(vkeys)
    keys = WitnessKeys.generate(name)
    phrase = NewPassphrase(passphrase_fd).passphrase(f"new passphrase of {name}")
    made = folders.create(folder, keys, log_keys, keys.encode(phrase))
    found = {
        "witness": name,
        "log": log_keys[0].name,
        "log_keys": [key.key_id.hex() for key in log_keys],
        "public": str(folder / folders.VKEYS),
    }

    def render(console: Console) -> None:
        console.print(Text(f"witness {made.witness.name} watches {log_keys[0].name}"))
        console.print(Text(f"the log's key ids: {', '.join(key.key_id.hex() for key in log_keys)} (compare by voice)"))
        console.print(Text(f"{folder / folders.VKEYS} (give it to the site and to other auditors)"), soft_wrap=True)

    emit(found, output, render)


@app.command()
def check(
    context: typer.Context,
    folder: FolderArgument,
    log: LogOption = None,
    request: RequestOption = None,
    output: OutputOption = OutputFormat.table,
) -> None:
    """Check that the log extends what this witness cosigned; changes nothing, needs no passphrase."""
    witness = folders.load(folder)
    seen = _examine(context, witness, log, request)
    emit(_described(witness, seen), output, lambda console: _show(witness, seen, console))


@app.command()
def cosign(  # noqa: PLR0913, PLR0917 - typer: one parameter per option
    context: typer.Context,
    folder: FolderArgument,
    out: Annotated[Path, typer.Option("--out", metavar="FILE", help="The cosigned checkpoint, for the site.")],
    log: LogOption = None,
    request: RequestOption = None,
    passphrase_fd: PassphraseFdOption = None,
    output: OutputOption = OutputFormat.table,
) -> None:
    """Check as `check` does, keep the checkpoint, cosign it, and write it to FILE to be carried back."""
    witness = folders.load(folder)
    try:
        seen = _examine(context, witness, log, request)
    except (LogForkedError, LogReplacedError):
        note = _note(context, witness, log, request)
        say(f"the contradicting checkpoint is kept as {witness.keep_evidence(note)}")
        raise
    keys = folders.load_keys(folder, read_passphrase(f"passphrase of {witness.witness.name}", passphrase_fd))
    cosigned = witness.cosign(seen, keys, int(time.time()))
    write_text(cosigned, out)
    emit(_described(witness, seen), output, lambda console: _show(witness, seen, console))


def _examine(context: typer.Context, witness: WitnessFolder, log: Path | None, request: Path | None) -> Seen:
    if request is not None:
        if log is not None:
            raise UsageError("--log and --request exclude each other", "with the log at hand, no request is needed")
        return witness.examine_request(_read(request))
    with progress("verifying", unit="steps") as report:
        return witness.examine(_log(context, log), progress=report)


def _note(context: typer.Context, witness: WitnessFolder, log: Path | None, request: Path | None) -> bytes:
    return Request.parse(_read(request)).checkpoint if request else _signed(witness, _log(context, log))


def _signed(witness: WitnessFolder, log: Path) -> bytes:
    return examine_stored(log, witness.log_keys).note.encode()


def _log(context: typer.Context, log: Path | None) -> Path:
    return log_folder(context, log)


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise UsageError(f"{path} cannot be read: {error.strerror}") from error


def _described(witness: WitnessFolder, seen: Seen) -> dict[str, Any]:
    kept = witness.kept
    return {
        "holds": True,
        "witness": witness.witness.name,
        "origin": seen.head.origin,
        "size": seen.head.size,
        "root": seen.head.root.hex(),
        "before": {"size": kept.head.size, "time": moment(kept.time)} if kept else None,
    }


def _show(witness: WitnessFolder, seen: Seen, console: Console) -> None:
    kept = witness.kept
    grown = f"extends the {kept.head.size} cosigned {moment(kept.time)}" if kept else "is seen for the first time"
    console.print(Text(f"{printable(seen.head.origin)}: {seen.head.size} entries, {grown}"))
    console.print(Text(f"root {seen.head.root.hex()}"), soft_wrap=True)


def moment(seconds: int) -> str:
    """POSIX seconds as RFC 3339 in UTC."""
    return datetime.fromtimestamp(seconds, UTC).isoformat().replace("+00:00", "Z")
