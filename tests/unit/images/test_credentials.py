"""Credentials come from the files of ordinary clients, the most specific first, and from nowhere else."""

from __future__ import annotations

import base64
import json
from typing import TYPE_CHECKING, Any

import pytest

from airgap_bundle.build.registry_credentials import Credentials, auth_files, find_credentials
from airgap_bundle.errors import RegistryError

if TYPE_CHECKING:
    from pathlib import Path

HOST = "registry.example"


def entry(user: str, password: str = "word:with:colons") -> dict[str, str]:
    return {"auth": base64.b64encode(f"{user}:{password}".encode()).decode()}


def write(path: Path, **content: Any) -> Path:
    path.write_text(json.dumps(content))
    return path


def test_the_most_specific_entry_goes_first(tmp_path: Path) -> None:
    auths = {HOST: entry("everywhere"), f"{HOST}/team": entry("team"), f"{HOST}/team/app/deep": entry("deeper")}
    file = write(tmp_path / "auth.json", auths=auths)
    assert find_credentials(HOST, "team/app", (file,)) == Credentials("team", "word:with:colons")
    assert find_credentials(HOST, "teamwork/app", (file,)) == Credentials("everywhere", "word:with:colons")
    assert find_credentials("other.example", "team/app", (file,)) is None


def test_the_first_file_that_names_the_registry_counts(tmp_path: Path) -> None:
    absent = tmp_path / "absent.json"
    empty = write(tmp_path / "empty.json")
    one, two = (write(tmp_path / f"{name}.json", auths={HOST: entry(name)}) for name in ("one", "two"))
    found = find_credentials(HOST, "app", (absent, empty, one, two))
    assert found is not None
    assert found.user == "one"
    assert "word" not in repr(found)


def test_files_are_asked_in_the_order_of_ordinary_clients(tmp_path: Path) -> None:
    environment = {"REGISTRY_AUTH_FILE": "/given", "XDG_RUNTIME_DIR": "/run/user/1", "DOCKER_CONFIG": "/docker"}
    assert [str(path) for path in auth_files(environment, tmp_path)] == [
        "/given",
        "/run/user/1/containers/auth.json",
        str(tmp_path / ".config/containers/auth.json"),
        "/docker/config.json",
    ]
    assert [path.name for path in auth_files({}, tmp_path)] == ["auth.json", "config.json"]


def test_a_helper_program_is_not_started_and_that_is_said(tmp_path: Path) -> None:
    file = write(tmp_path / "config.json", credHelpers={HOST: "a-program"})
    with pytest.raises(RegistryError, match="not started here"):
        find_credentials(HOST, "app", (file,))
    assert find_credentials("other.example", "app", (file,)) is None


@pytest.mark.parametrize(
    "content",
    [
        b"not json",
        b'{"auths":[]}',
        b'{"auths":{"registry.example":{"auth":"*"}}}',
        b'{"auths":{"registry.example":{"auth":"bm8gY29sb24="}}}',
        b'{"auths":{"registry.example":{"auth":1}}}',
        b'{"auths":{},"auths":{}}',
    ],
)
def test_a_file_that_is_none_is_refused_without_showing_what_is_in_it(tmp_path: Path, content: bytes) -> None:
    file = tmp_path / "auth.json"
    file.write_bytes(content)
    with pytest.raises(RegistryError, match=r"auth\.json") as refused:
        find_credentials(HOST, "app", (file,))
    assert "colon" not in refused.value.cause
