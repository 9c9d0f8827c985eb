"""What may be rolled out stands in a file that gateways cannot write: whole and exact, or nobody is answered by it."""

from __future__ import annotations

import uuid
from typing import TYPE_CHECKING

import pytest

from appliance.packs.errors import PackLostError
from appliance.packs.permits import FILE, Permit, permitted, read_permits, write_permits

if TYPE_CHECKING:
    from pathlib import Path

OLD, NEW = ("sha256:" + digit * 64 for digit in "ab")
PERMIT = Permit(id=str(uuid.UUID(int=1)), former=OLD, change=NEW, most=50)


def test_what_was_written_is_read_again(tmp_path: Path) -> None:
    assert read_permits(tmp_path) == {}
    write_permits(tmp_path, {"clerks": PERMIT})
    assert read_permits(tmp_path) == {"clerks": PERMIT}


@pytest.mark.parametrize(
    "text",
    [
        "",
        "{",
        "[]",
        '{"schema":1}',
        '{"schema":2,"rollouts":{}}',
        '{"schema":1,"rollouts":[]}',
        '{"schema":1,"rollouts":{},"more":1}',
        '{"schema":1,"rollouts":{"clerks":{"id":"x"}}}',
        '{"schema":1,"rollouts":{},"rollouts":{}}',
        PERMIT.model_dump_json().join(('{"schema":1,"rollouts":{"clerks":', "}}")).replace('"most":50', '"most":101'),
        PERMIT.model_dump_json().join(('{"schema":1,"rollouts":{"clerks":', "}}")).replace('"most":50', '"most":"50"'),
    ],
)
def test_a_damaged_file_permits_nothing(tmp_path: Path, text: str) -> None:
    (tmp_path / FILE).write_text(text)
    with pytest.raises(PackLostError, match="the record of rollouts"):
        read_permits(tmp_path)


def test_a_link_is_no_file(tmp_path: Path) -> None:
    (tmp_path / "elsewhere").write_text('{"schema":1,"rollouts":{}}')
    (tmp_path / FILE).symlink_to(tmp_path / "elsewhere")
    with pytest.raises(PackLostError):
        read_permits(tmp_path)


def test_the_very_rollout_is_permitted_up_to_its_share() -> None:
    for most in (10, 50):
        permitted({"clerks": PERMIT}, "clerks", PERMIT.model_copy(update={"most": most}))


@pytest.mark.parametrize("changes", [{"most": 51}, {"change": OLD}, {"former": "none"}, {"id": str(uuid.UUID(int=2))}])
def test_and_no_other(changes: dict[str, object]) -> None:
    with pytest.raises(PackLostError):
        permitted({"clerks": PERMIT}, "clerks", PERMIT.model_copy(update=changes))
    with pytest.raises(PackLostError):
        permitted({"guards": PERMIT}, "clerks", PERMIT)
