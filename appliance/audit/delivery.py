"""What a site verifies before a witness is enrolled, and before a checkpoint that it cosigned is put beside the log."""

from __future__ import annotations

from typing import TYPE_CHECKING

from appliance.audit.cosigned import Witness, Witnessed, brought_back, open_cosigned, parse_witnesses
from appliance.audit.errors import NoteError
from appliance.audit.shelf import require_beginning
from appliance.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from appliance.audit.note import VerifierKey


def check_delivery(
    directory: Path, data: bytes, *, log_keys: Sequence[VerifierKey], witnesses: Sequence[Witness]
) -> tuple[Witnessed, ...]:
    """Who cosigned the checkpoint in ``data``, a past or present one of the log in ``directory``. Changes nothing.

    Raises ``NoteError`` when no enrolled witness did, ``LogForkedError`` or ``LogRewoundError`` when the log is not an
    extension of it, ``UsageError`` when what is there already is later.
    """
    _, found = open_cosigned(data, log_keys, witnesses)
    if not found:
        raise NoteError(
            "the checkpoint is not cosigned by a witness that is enrolled here, with both of its keys",
            "`sovereign audit witness enrol` makes a witness known",
        )
    require_beginning(directory, data, log_keys)
    before = {one.witness: one for one in brought_back(directory, log_keys, witnesses)}
    for one in found:
        last = before.get(one.witness)
        if last and (last.head.size, last.time) > (one.head.size, one.time):
            raise UsageError(
                f"{one.witness} cosigned {last.head.size} entries already, more recently than this", "bring its latest"
            )
    return found


def enrolled(policy: Path, text: str, origin: str) -> tuple[Witness, str]:
    """The witness whose verifier keys ``text`` holds, and the file of the site's witnesses with it. Changes nothing.

    Raises ``UsageError`` when it is not exactly one, is known already, or bears the name of the log ``origin``.
    """
    new = parse_witnesses(text)
    if len(new) != 1:
        raise UsageError(f"one witness is expected, {len(new)} are given", "enrol one .vkeys file at a time")
    if new[0].name == origin:
        raise UsageError(f"{origin} is the log's own name", "a witness has a name of its own")
    try:
        before = policy.read_text(encoding="utf-8")
    except FileNotFoundError:
        before = "# witnesses of the audit log: verifier keys, two a witness\n"
    if new[0].name in {one.name for one in parse_witnesses(before)}:
        raise UsageError(f"witness {new[0].name} is enrolled already", "its keys are never replaced by a command")
    after = before + "".join(f"{key.encode()}\n" for key in new[0].keys)
    parse_witnesses(after)  # a key under two names
    return new[0], after
