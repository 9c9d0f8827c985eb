"""Whether a folder that came from elsewhere holds all of a log, up to the very head that its site has.

It may be a copy of the log's folder, an export (``export``) or an archive (``archive``). Each is held against the
log's keys first, and then against that head. Whose beginning was pruned, as the log says, may lack that much.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from appliance.audit.archive import check_archive
from appliance.audit.archive_index import NAME
from appliance.audit.checkpoint import open_checkpoint
from appliance.audit.errors import ArchiveError, NoteError
from appliance.audit.export import PROOF
from appliance.audit.exported import read_entries, read_span
from appliance.audit.merkle import leaf_hash
from appliance.audit.note import MAX_NOTE_BYTES
from appliance.audit.regular_file import read_regular
from appliance.audit.tiles import CHECKPOINT
from appliance.audit.verify import verify_log
from appliance.errors import LogInconsistentError, UsageError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from appliance.audit.checkpoint import Checkpoint
    from appliance.audit.note import VerifierKey

    Progress = Callable[[int, int], None] | None

_AGAIN = "take a copy, or an export, of all that the log holds now"
_COPY = "take a copy of the log's folder, which is whole as it is, also where its beginning was pruned"


def check_whole(
    folder: Path, head: Checkpoint, *, vkeys: Sequence[VerifierKey], gone: int = 0, progress: Progress = None
) -> None:
    """Return when ``folder`` holds every entry of the log whose signed head is ``head``; ``gone`` of them were pruned.

    Raises ``ArchiveError`` where it holds fewer, or is of another log, ``UsageError`` where it is none of the three or
    leads elsewhere by a link, and as ``verify_log`` and ``check_archive`` for what does not hold.
    """
    _refuse_links(folder)
    if (folder / NAME).exists():
        archived = check_archive(folder, vkeys=vkeys, progress=progress)
        first, end, found = archived.first, archived.end, archived.head
    elif (folder / PROOF).exists():
        first, end, found = _check_export(folder, vkeys)
    else:
        report = verify_log(folder, vkeys=vkeys, progress=progress)
        first, end, found = 0, report.size, report.head
    if (found.origin, found.size, found.root) != (head.origin, head.size, head.root) and end >= head.size:
        raise ArchiveError(f"{folder} is of another log than this site's", "name what was taken of this one")
    if end < head.size:
        raise ArchiveError(f"{folder} ends with entry {end - 1}, and the log has {head.size} entries", _AGAIN)
    if first > gone:
        raise ArchiveError(f"{folder} begins with entry {first}, and all from entry {gone} on are to be there", _COPY)


def _check_export(folder: Path, vkeys: Sequence[VerifierKey]) -> tuple[int, int, Checkpoint]:
    """Where the entries of an export begin and end, once they lead to the root of its checkpoint.

    Of an export that ends before its log does nothing is said but where: it is of no use here.
    """
    try:
        head = open_checkpoint(read_regular(folder / CHECKPOINT, MAX_NOTE_BYTES + 1), vkeys)
        span = read_span(folder, head)
        if span.last + 1 < head.size:
            return span.first, span.last + 1, head
        tree = span.before()
        for _, entry in read_entries(folder, span.first, head):
            tree.append(leaf_hash(entry))
    except OSError as error:
        raise UsageError(f"the export {folder} cannot be read: {error.strerror}") from error
    except NoteError:
        raise
    except LogInconsistentError as error:
        raise ArchiveError(f"the export {folder} does not hold: {error.cause}", error.hint) from error
    if (tree.size, tree.root()) != (head.size, head.root):
        raise ArchiveError(f"the entries in {folder} are not those of the log that signed its checkpoint")
    return span.first, head.size, head


def _refuse_links(folder: Path) -> None:
    """What a link leads to may be the very log that is to go."""
    if not folder.is_dir():
        raise UsageError(f"there is no folder {folder}", "name a copy, an export or an archive of the log")
    link = next((path for path in folder.rglob("*") if path.is_symlink()), None)
    if link is not None:
        raise UsageError(f"{link} is a link", "copy what it leads to")
