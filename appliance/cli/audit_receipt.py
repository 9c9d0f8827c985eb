"""``sovereign audit check-receipt``: what somebody was given with an answer, held against the log's keys alone."""

from __future__ import annotations

from pathlib import Path  # noqa: TC003 - typer evaluates annotations
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.text import Text

from airgap_bundle import strict_json
from airgap_bundle.errors import FormatError
from appliance.audit.errors import ReceiptError
from appliance.audit.receipt_check import check_receipt
from appliance.audit.usage_table import printable
from appliance.cli.audit_options import VkeysOption, verifier_keys
from appliance.cli.terminal import OutputFormat, OutputOption, emit
from appliance.errors import UsageError

if TYPE_CHECKING:
    from appliance.audit.receipt_check import CheckedReceipt

_MOST_BYTES = 16 << 20
_MOST_DEPTH = 32


def register(app: typer.Typer) -> None:
    """Put the command into ``sovereign audit``."""
    app.command("check-receipt")(check)


def check(
    context: typer.Context,
    receipt: Annotated[Path, typer.Argument(help="The receipt as JSON, or the API's answer that it came with.")],
    vkeys: VkeysOption = None,
    answer: Annotated[
        Path | None, typer.Option("--answer", metavar="FILE", help="The answer's text: is it the one that was given?")
    ] = None,
    output: OutputOption = OutputFormat.table,
) -> None:
    """Check a receipt offline: its proof, the signatures, and that the log's entry is of this very receipt.

    Exits with 6 where it does not hold, or where the text of --answer is another one.
    """
    keys = verifier_keys(context, vkeys)
    found = check_receipt(_receipt_in(_read(receipt), receipt), keys, _read(answer) if answer is not None else None)
    if found.answer_matches is False:
        raise ReceiptError(f"{answer} is not the answer that the receipt is of", "the bytes count: leave none out")
    emit(_as_json(found), output, lambda console: console.print(Text(printable(_told(found))), soft_wrap=True))


def _read(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            data = file.read(_MOST_BYTES + 1)
    except OSError as error:
        raise UsageError(f"{path} cannot be read: {error.strerror}", "name a file") from error
    if len(data) > _MOST_BYTES:
        raise UsageError(f"{path} has more than {_MOST_BYTES} bytes", "a receipt has some thousand")
    return data


def _receipt_in(data: bytes, path: Path) -> dict[str, Any]:
    """The receipt, or the only one in an answer of the API (``sovereign.receipt``) or of `chat` (``receipt``)."""
    try:
        found = strict_json.load_object(data, max_depth=_MOST_DEPTH)
    except FormatError as error:
        raise UsageError(f"{path} is no receipt: {error.cause}", "save it as JSON") from error
    inside = found.get("sovereign")
    holder = inside if isinstance(inside, dict) else found
    only = holder.get("receipt")
    return only if isinstance(only, dict) else found


def _as_json(found: CheckedReceipt) -> dict[str, Any]:
    return {
        "holds": True,
        "origin": found.head.origin,
        "index": found.index,
        "size": found.head.size,
        "signed": found.head.time,
        "answer_matches": found.answer_matches,
        "event": found.event,
    }


def _told(found: CheckedReceipt) -> str:
    text = f"the receipt holds: entry {found.index} of {found.head.origin}, which held {found.head.size} entries"
    return text + ("; the text is the answer that was given" if found.answer_matches else "")
