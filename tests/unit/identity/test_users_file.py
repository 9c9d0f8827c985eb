"""The file people are imported from."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from appliance.errors import UsageError
from appliance.identity.passwords import one_time_password, read_passwords
from appliance.identity.users_file import FileUser, UsersFileError, read_users

if TYPE_CHECKING:
    from pathlib import Path

GROUPS = ("analysts", "auditors")


def users(text: str) -> tuple[FileUser, ...]:
    return read_users(text.encode(), name="users.csv", known_groups=GROUPS)


def mistakes(text: str | bytes) -> tuple[str, ...]:
    data = text.encode() if isinstance(text, str) else text
    with pytest.raises(UsersFileError) as refused:
        read_users(data, name="users.csv", known_groups=GROUPS)
    return refused.value.mistakes


def test_people_are_read_with_groups_and_optional_fields() -> None:
    text = "username,groups,email,first,last\nanalyst,analysts\nofficer, analysts ; auditors ,o@site.example,Öse,\n"
    assert users(text) == (
        FileUser("analyst", ("analysts",)),
        FileUser("officer", ("analysts", "auditors"), "o@site.example", "Öse", None),
    )


def test_columns_may_come_in_any_order_and_spreadsheets_may_write_their_mark() -> None:
    assert users("\ufeffgroups,username\r\nanalysts,analyst\r\n") == (FileUser("analyst", ("analysts",)),)


def test_a_line_too_short_for_the_user_s_name_is_a_mistake_of_that_line() -> None:
    (mistake,) = mistakes("groups,username\nanalysts\n")
    assert mistake.startswith("line 2: '' is no user name")


def test_every_mistake_is_named_at_once_with_its_line() -> None:
    text = (
        "username,groups,email\n"
        "Analyst,analysts\n"
        "clerk,nobody\n"
        "\n"
        "officer,,not-an-address\n"
        "clerk,analysts\n"
        "auditor,auditors,a@site.example,more\n"
    )
    found = mistakes(text)
    assert [line.partition(":")[0] for line in found] == ["line 2", "line 3", "line 5", "line 5", "line 6", "line 7"]
    assert "unknown group 'nobody'; the site has analysts, auditors" in found[1]
    assert "already on line 3" in found[4]


@pytest.mark.parametrize(
    ("text", "cause"),
    [
        ("", "empty"),
        ("username\nanalyst\n", "column groups is missing"),
        ("username,groups,role\n", "unknown column 'role'"),
        ("username,groups,groups\n", "twice"),
        ('username,groups\n"analyst,analysts\n', "unexpected end of data"),
        (b"username,groups\nanalyst,\xff\n", "line 2: not UTF-8"),
        (b"x" * (4 * 1024 * 1024 + 1), "larger than"),
    ],
    ids=["empty", "no groups", "unknown column", "column twice", "open quote", "not utf-8", "too large"],
)
def test_a_broken_file_is_refused_as_a_whole(text: str | bytes, cause: str) -> None:
    assert any(cause in mistake for mistake in mistakes(text))


@pytest.mark.parametrize("name", ["ab", "-abc", "a b", "a" * 65, "../etc", "a@b", "ä-ö", "a\u0000b"])
def test_a_user_name_that_keycloak_or_a_shell_would_trip_over_is_refused(name: str) -> None:
    assert mistakes(f"username,groups\n{name},analysts\n")


@pytest.mark.parametrize("name", ["<b>", "a;b", 'a""b', "a\u001bb"])
def test_a_name_with_markup_or_control_characters_is_refused(name: str) -> None:
    assert mistakes(f'username,groups,first\nanalyst,analysts,"{name}"\n')


def test_one_time_passwords_are_long_distinct_and_easy_to_type() -> None:
    made = {one_time_password() for _ in range(100)}
    assert len(made) == 100
    assert all(len(password) == 23 and not set(password) & set("01loiOI") for password in made)


def test_lasting_passwords_come_from_a_private_file_only(tmp_path: Path) -> None:
    file = tmp_path / "passwords"
    file.write_text("analyst,a-lasting-password\n")
    file.chmod(0o640)
    with pytest.raises(UsageError, match="others can read it"):
        read_passwords(file)
    file.chmod(0o600)
    assert read_passwords(file) == {"analyst": "a-lasting-password"}


@pytest.mark.parametrize("text", ["analyst\n", "analyst,short\n", "analyst,a-lasting-password,x\n", '"open', b"\xff"])
def test_a_broken_file_of_passwords_is_refused_without_quoting_it(tmp_path: Path, text: str | bytes) -> None:
    file = tmp_path / "passwords"
    file.write_bytes(text if isinstance(text, bytes) else text.encode())
    file.chmod(0o600)
    with pytest.raises(UsageError) as refused:
        read_passwords(file)
    assert "lasting" not in refused.value.cause


def test_a_missing_file_of_passwords_is_a_usage_error(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="no such file"):
        read_passwords(tmp_path / "missing")
