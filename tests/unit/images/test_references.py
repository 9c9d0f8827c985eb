"""Nothing about an image is implied: not its registry, not its tag, not its platform."""

from __future__ import annotations

import pytest

from airgap_bundle.build import registry_rules
from airgap_bundle.container_image import Platform
from airgap_bundle.digest import sha256
from airgap_bundle.errors import FormatError, RegistryError
from airgap_bundle.image_reference import is_loopback, parse_reference

DIGEST = sha256(b"image")


def test_a_reference_is_read_whole() -> None:
    found = parse_reference(f"registry.example:5000/team/app:1.0@{DIGEST}")
    assert (found.host, found.repository, found.tag, found.digest) == (
        "registry.example:5000",
        "team/app",
        "1.0",
        DIGEST,
    )
    assert (found.name, found.asked, found.version) == ("registry.example:5000/team/app", DIGEST, "1.0")


def test_without_a_tag_the_version_is_the_beginning_of_the_digest() -> None:
    assert parse_reference(f"registry.example/app@{DIGEST}").version == f"sha256-{DIGEST.hex[:16]}"


@pytest.mark.parametrize(
    "text",
    [
        "app:1.0",
        "team/app:1.0",
        "registry.example/app",
        "registry.example/App:1",
        "registry.example/../app:1",
        "registry.example//app:1",
        "registry.example/app:",
        "registry.example/app:1.0@sha256:abc",
        "registry.example/app@sha512:" + "a" * 128,
        "https://registry.example/app:1",
        "user:word@registry.example/app:1",
        "registry.example/app:1\n",
        "registry.example/" + "a" * 256 + ":1",
        "registry.example/app:" + "a" * 129,
        "",
    ],
)
def test_what_is_not_said_is_refused(text: str) -> None:
    with pytest.raises(FormatError):
        parse_reference(text)


@pytest.mark.parametrize("host", ["localhost", "localhost:5000", "127.0.0.1:5000", "127.8.8.8", "[::1]:5000"])
def test_plain_http_is_spoken_with_this_machine(host: str) -> None:
    assert is_loopback(host)
    assert registry_rules.base_address(host) == f"http://{host}"


@pytest.mark.parametrize(
    "host", ["registry.example", "127.0.0.1.registry.example", "localhost.example", "10.0.0.1:5000", "0.0.0.0:80"]
)
def test_everybody_else_is_spoken_to_over_tls(host: str) -> None:
    assert not is_loopback(host)
    assert registry_rules.base_address(host) == f"https://{host}"


@pytest.mark.parametrize(
    ("address", "reason"),
    [
        ("http://cdn.example/blob", "only https"),
        ("https://127.0.0.1/blob", "an address of this machine"),
        ("https://localhost:8443/blob", "an address of this machine"),
        ("http://127.0.0.1/blob", "only https"),
    ],
)
def test_a_registry_elsewhere_does_not_send_us_to_this_machine_or_in_the_clear(address: str, reason: str) -> None:
    assert registry_rules.check_address("https://cdn.example/blob", "registry.example")
    with pytest.raises(RegistryError, match=reason):
        registry_rules.check_address(address, "registry.example")


@pytest.mark.parametrize(
    ("asked", "given", "fits"),
    [
        ("linux/amd64", {"os": "linux", "architecture": "amd64"}, True),
        ("linux/amd64", {"os": "linux", "architecture": "amd64", "variant": "v3"}, False),
        ("linux/arm64", {"os": "linux", "architecture": "arm64", "variant": "v8"}, True),
        ("linux/arm64/v8", {"os": "linux", "architecture": "arm64"}, True),
        ("linux/arm/v7", {"os": "linux", "architecture": "arm", "variant": "v6"}, False),
        ("linux/amd64", {"os": "windows", "architecture": "amd64"}, False),
        ("linux/amd64", {"os": ["linux"], "architecture": None}, False),
    ],
)
def test_a_platform_fits_by_system_architecture_and_variant(
    asked: str, given: dict[str, object], *, fits: bool
) -> None:
    assert Platform.parse(asked).fits(given) is fits
    assert str(Platform.parse(asked)) == asked
