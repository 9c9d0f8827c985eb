"""Attacks by a registry: other bytes, fewer, more, elsewhere. Each is a clear error; the cache keeps nothing of it."""

from __future__ import annotations

import itertools
import json
from typing import TYPE_CHECKING

import pytest

from airgap_bundle.build.cache import BuildCache
from airgap_bundle.build.image_blobs import fetch_blob
from airgap_bundle.build.registry import ATTEMPTS, Registry
from airgap_bundle.build.registry_credentials import Credentials
from airgap_bundle.descriptor import MANIFEST_TYPE
from airgap_bundle.digest import sha256
from airgap_bundle.errors import BuildError, RegistryError
from tests.bundles import tree
from tests.hostile_registry import Answer, HostileRegistry
from tests.images import SmallImage

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

BLOB = bytes(range(256)) * 1024
DIGEST = sha256(BLOB)
IMAGE = SmallImage()
MANIFEST = {"Content-Type": MANIFEST_TYPE}
USER = Credentials("builder", "secret-of-tests")


@pytest.fixture
def cache(tmp_path: Path) -> BuildCache:
    return BuildCache(tmp_path / "cache")


@pytest.fixture
def hostile() -> Iterator[HostileRegistry]:
    with HostileRegistry() as found:
        yield found


def client(hostile: HostileRegistry, credentials: Credentials | None = None) -> Registry:
    return Registry(hostile.host, "team/app", credentials, sleep=lambda _seconds: None)


def fetch(hostile: HostileRegistry, cache: BuildCache, credentials: Credentials | None = None) -> bytes:
    with client(hostile, credentials) as registry:
        return fetch_blob(registry, DIGEST, len(BLOB), cache, lambda _count: None).path.read_bytes()


def kept(cache: BuildCache) -> list[str]:
    """Entries of the cache, `.partial` files included."""
    folder = cache.root / "inputs" / "sha256"
    return [path.name for path in folder.iterdir()] if folder.exists() else []


def rests(cache: BuildCache) -> list[bytes]:
    """What is kept for resuming."""
    folder = cache.root / "fetching"
    return [path.read_bytes() for path in folder.iterdir()] if folder.exists() else []


def refuses_blob(hostile: HostileRegistry, cache: BuildCache, match: str) -> None:
    with pytest.raises(RegistryError, match=match):
        fetch(hostile, cache)
    assert kept(cache) == []


def refuses_manifest(hostile: HostileRegistry, match: str, reference: str = "1.0") -> None:
    with client(hostile) as registry, pytest.raises(RegistryError, match=match):
        registry.manifest(reference, [MANIFEST_TYPE])


def test_other_bytes_are_refused_and_forgotten(hostile: HostileRegistry, cache: BuildCache) -> None:
    hostile.answers["blobs/" + DIGEST] = [Answer(body=BLOB[:-1] + b"x")]
    refuses_blob(hostile, cache, "serves other bytes")
    assert rests(cache) == []


def test_other_bytes_do_not_displace_what_the_cache_has(hostile: HostileRegistry, cache: BuildCache) -> None:
    cache.add_bytes(b"something else")
    before = tree(cache.root / "inputs")
    hostile.answers["blobs/" + DIGEST] = [Answer(body=b"x" * len(BLOB))]
    with pytest.raises(RegistryError):
        fetch(hostile, cache)
    assert tree(cache.root / "inputs") == before


def test_a_body_without_end_is_left_at_the_first_byte_too_much(hostile: HostileRegistry, cache: BuildCache) -> None:
    hostile.answers["blobs/" + DIGEST] = [Answer(body=itertools.repeat(BLOB))]
    refuses_blob(hostile, cache, f"more than the {len(BLOB)} bytes")
    assert rests(cache) == []


def test_a_blob_that_never_comes_whole_is_refused_and_what_came_is_kept_for_resuming_only(
    hostile: HostileRegistry, cache: BuildCache
) -> None:
    hostile.answers["blobs/" + DIGEST] = [Answer(body=BLOB[:1000], length=len(BLOB))]
    refuses_blob(hostile, cache, "breaks off")
    assert rests(cache) == [BLOB[:1000]]
    assert len(hostile.seen) == ATTEMPTS


def test_a_blob_that_ends_early_without_saying_so_is_refused(hostile: HostileRegistry, cache: BuildCache) -> None:
    hostile.answers["blobs/" + DIGEST] = [Answer(body=BLOB[:1000])]
    refuses_blob(hostile, cache, f"1000 of the {len(BLOB)} bytes")


def test_an_interrupted_blob_is_resumed_from_where_it_broke_off(hostile: HostileRegistry, cache: BuildCache) -> None:
    hostile.answers["blobs/" + DIGEST] = [Answer(body=BLOB[:1000], length=len(BLOB)), rest_from(1000)]
    assert fetch(hostile, cache) == BLOB
    assert [seen.range for seen in hostile.seen] == [None, "bytes=1000-"]
    assert rests(cache) == []


def test_a_later_run_resumes_what_an_earlier_one_left(hostile: HostileRegistry, cache: BuildCache) -> None:
    leave(cache, BLOB[:5000])
    hostile.answers["blobs/" + DIGEST] = [rest_from(5000)]
    assert fetch(hostile, cache) == BLOB
    assert [seen.range for seen in hostile.seen] == ["bytes=5000-"]


def test_wrong_bytes_left_by_an_earlier_run_cost_one_more_fetch_and_nothing_else(
    hostile: HostileRegistry, cache: BuildCache
) -> None:
    leave(cache, b"poison" * 100)
    hostile.answers["blobs/" + DIGEST] = [rest_from(600), Answer(body=BLOB)]
    assert fetch(hostile, cache) == BLOB
    assert [seen.range for seen in hostile.seen] == ["bytes=600-", None]


def test_a_registry_that_ignores_ranges_serves_the_blob_from_its_beginning(
    hostile: HostileRegistry, cache: BuildCache
) -> None:
    leave(cache, BLOB[:5000])
    hostile.answers["blobs/" + DIGEST] = [Answer(body=BLOB)]
    assert fetch(hostile, cache) == BLOB


@pytest.mark.parametrize("said", ["bytes 0-99/100", "bytes 999-262143/262144", "bytes 1000-262143/*", "nonsense", ""])
def test_another_range_than_was_asked_for_is_refused(hostile: HostileRegistry, cache: BuildCache, said: str) -> None:
    leave(cache, BLOB[:1000])
    hostile.answers["blobs/" + DIGEST] = [Answer(206, {"Content-Range": said}, BLOB[1000:])]
    refuses_blob(hostile, cache, "another part")


def leave(cache: BuildCache, data: bytes) -> None:
    """What an interrupted run would have left."""
    (cache.root / "fetching").mkdir(parents=True)
    (cache.root / "fetching" / DIGEST.hex).write_bytes(data)


def rest_from(offset: int) -> Answer:
    return Answer(206, {"Content-Range": f"bytes {offset}-{len(BLOB) - 1}/{len(BLOB)}"}, BLOB[offset:])


@pytest.mark.parametrize("status", [429, 500, 503])
def test_a_moment_of_trouble_is_waited_out(hostile: HostileRegistry, cache: BuildCache, status: int) -> None:
    hostile.answers["blobs/" + DIGEST] = [Answer(status, {"Retry-After": "1"}), Answer(body=BLOB)]
    assert fetch(hostile, cache) == BLOB


@pytest.mark.parametrize("status", [429, 500, 503])
def test_trouble_that_stays_is_told_after_a_few_attempts(
    hostile: HostileRegistry, cache: BuildCache, status: int
) -> None:
    hostile.answers["blobs/" + DIGEST] = [Answer(status)]
    refuses_blob(hostile, cache, f"the registry answers {status}")
    assert len(hostile.seen) == ATTEMPTS


def test_a_registry_may_not_make_the_client_wait_for_ever(hostile: HostileRegistry) -> None:
    hostile.answers["manifests/1.0"] = [
        Answer(503, {"Retry-After": "99999"}),
        Answer(headers=MANIFEST, body=IMAGE.data),
    ]
    waits: list[float] = []
    with Registry(hostile.host, "team/app", sleep=waits.append) as registry:
        assert registry.manifest("1.0", [MANIFEST_TYPE]).digest == IMAGE.digest
    assert waits == [30.0]


def test_a_blob_elsewhere_is_followed_without_credentials_and_checked_all_the_same(
    hostile: HostileRegistry, cache: BuildCache
) -> None:
    with HostileRegistry(elsewhere=[Answer(body=BLOB)]) as other:
        challenge = Answer(401, {"WWW-Authenticate": 'Basic realm="tests"'})
        moved = Answer(307, {"Location": f"http://{other.host}/elsewhere"})
        hostile.answers["blobs/" + DIGEST] = [challenge, moved]
        assert fetch(hostile, cache, USER) == BLOB
        assert [seen.authorization for seen in other.seen] == [None]
    assert hostile.seen[-1].authorization is not None


def test_other_bytes_elsewhere_are_refused(hostile: HostileRegistry, cache: BuildCache) -> None:
    with HostileRegistry(elsewhere=[Answer(body=b"x" * len(BLOB))]) as other:
        hostile.answers["blobs/" + DIGEST] = [Answer(302, {"Location": f"http://{other.host}/elsewhere"})]
        refuses_blob(hostile, cache, "serves other bytes")


@pytest.mark.parametrize(
    ("location", "reason"),
    [
        ("http://registry.example/blob", "only https is followed"),
        ("ftp://127.0.0.1/blob", "only https is followed"),
        ("file:///etc/passwd", "without a host"),
        ("http://user:word@127.0.0.1/blob", "with credentials in it"),
        ("http://[::1", "invalid url in location header"),
        ("", "redirects to nowhere"),
    ],
)
def test_a_redirect_to_where_it_may_not_lead_is_refused(
    hostile: HostileRegistry, cache: BuildCache, location: str, reason: str
) -> None:
    hostile.answers["blobs/" + DIGEST] = [Answer(307, {"Location": location})]
    refuses_blob(hostile, cache, reason)


def test_redirects_without_end_are_refused(hostile: HostileRegistry, cache: BuildCache) -> None:
    hostile.answers["blobs/" + DIGEST] = [Answer(307, {"Location": f"http://{hostile.host}/v2/x/blobs/{DIGEST}"})]
    refuses_blob(hostile, cache, "redirected further than is followed")


def test_a_manifest_elsewhere_is_not_followed(hostile: HostileRegistry) -> None:
    with HostileRegistry(elsewhere=[Answer(headers=MANIFEST, body=IMAGE.data)]) as other:
        hostile.answers["manifests/1.0"] = [Answer(307, {"Location": f"http://{other.host}/elsewhere"})]
        refuses_manifest(hostile, "redirected further than is followed")
        assert other.seen == []


def test_a_manifest_of_another_type_is_refused(hostile: HostileRegistry) -> None:
    for media_type in ("text/html", "application/vnd.docker.distribution.manifest.v1+prettyjws", ""):
        hostile.answers["manifests/1.0"] = [Answer(headers={"Content-Type": media_type}, body=IMAGE.data)]
        refuses_manifest(hostile, "is of type")


def test_a_manifest_without_end_is_refused(hostile: HostileRegistry) -> None:
    hostile.answers["manifests/1.0"] = [Answer(headers=MANIFEST, body=itertools.repeat(b" " * 65536))]
    refuses_manifest(hostile, "longer than 4194304 bytes")


def test_a_manifest_under_another_digest_is_refused(hostile: HostileRegistry) -> None:
    hostile.answers["manifests/" + DIGEST] = [Answer(headers=MANIFEST, body=IMAGE.data)]
    refuses_manifest(hostile, "other bytes than its digest says", str(DIGEST))
    said = {**MANIFEST, "Docker-Content-Digest": str(DIGEST)}
    hostile.answers["manifests/1.0"] = [Answer(headers=said, body=IMAGE.data)]
    refuses_manifest(hostile, "other bytes than its digest says")


def test_a_compressed_answer_is_refused_before_it_is_unpacked(hostile: HostileRegistry, cache: BuildCache) -> None:
    hostile.answers["blobs/" + DIGEST] = [Answer(headers={"Content-Encoding": "gzip"}, body=b"\x1f\x8b bomb")]
    refuses_blob(hostile, cache, "comes compressed")


@pytest.mark.parametrize(
    ("header", "reason"),
    [
        ('Bearer realm="http://registry.example/token"', "only https is followed"),
        ('Bearer realm="",service="x"', "without a host"),
        ("Bearer", "without a host"),
        ('Negotiate realm="x"', "does not know"),
        ("", "does not know"),
    ],
)
def test_credentials_go_nowhere_that_they_should_not(hostile: HostileRegistry, header: str, reason: str) -> None:
    hostile.answers["manifests/1.0"] = [Answer(401, {"WWW-Authenticate": header})]
    with client(hostile, USER) as registry, pytest.raises(RegistryError, match=reason) as refused:
        registry.manifest("1.0", [MANIFEST_TYPE])
    assert all(seen.authorization is None for seen in hostile.seen)
    assert USER.password not in str(refused.value) + repr(USER)


@pytest.mark.parametrize("body", [b"[]", b'{"token":1}', b'{"token":"a\\nb"}', b"{}", b" " * 70000])
def test_a_token_that_is_none_is_refused(hostile: HostileRegistry, body: bytes) -> None:
    challenge = f'Bearer realm="http://{hostile.host}/token",service="tests"'
    hostile.answers |= {"manifests/1.0": [Answer(401, {"WWW-Authenticate": challenge})], "/token": [Answer(body=body)]}
    refuses_manifest(hostile, "token")


def test_a_registry_that_never_accepts_its_own_token_is_left(hostile: HostileRegistry) -> None:
    challenge = f'Bearer realm="http://{hostile.host}/token",service="tests"'
    token = json.dumps({"token": "worthless"}).encode()
    hostile.answers |= {"manifests/1.0": [Answer(401, {"WWW-Authenticate": challenge})], "/token": [Answer(body=token)]}
    refuses_manifest(hostile, "does not let this user read")
    assert len([seen for seen in hostile.seen if seen.path.startswith("/token")]) == 1


def test_nobody_listening_is_told(cache: BuildCache) -> None:
    with HostileRegistry() as gone:
        host = gone.host
    with (
        Registry(host, "team/app", sleep=lambda _seconds: None) as registry,
        pytest.raises(RegistryError, match="cannot be reached"),
    ):
        fetch_blob(registry, DIGEST, len(BLOB), cache, lambda _count: None)
    assert kept(cache) == rests(cache) == []


def test_two_builds_do_not_write_one_rest(hostile: HostileRegistry, cache: BuildCache) -> None:
    def second(_count: int) -> None:
        with pytest.raises(BuildError, match="being fetched by another build"):
            fetch(hostile, cache)

    hostile.answers["blobs/" + DIGEST] = [Answer(body=BLOB)]
    with client(hostile) as registry:
        assert fetch_blob(registry, DIGEST, len(BLOB), cache, once(second)).path.read_bytes() == BLOB


def once(call: Callable[[int], None]) -> Callable[[int], None]:
    """Calls ``call`` at the first bytes only."""
    calls = iter([call])

    def on_bytes(count: int) -> None:
        for first in calls:
            first(count)
            return

    return on_bytes
