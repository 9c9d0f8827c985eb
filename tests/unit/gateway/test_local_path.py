from __future__ import annotations

import pytest

from appliance.gateway.auth_routes import local_path


@pytest.mark.parametrize("target", ["/", "/conversations/1?x=y#z", "/a/b"])
def test_a_path_of_this_origin_is_kept(target: str) -> None:
    assert local_path(target) == target


@pytest.mark.parametrize(
    "target",
    [
        "",
        "//evil.test",
        "/\\evil.test",
        "https://evil.test",
        "evil",
        "/a\\..\\b",
        "/a\r\nSet-Cookie: x",
        "javascript:1",
    ],
)
def test_a_sign_in_never_ends_on_another_site(target: str) -> None:
    assert local_path(target) == "/"
