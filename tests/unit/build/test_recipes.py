"""Recipes: images out of locked parts, and what a recipe has to own up to."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest
import yaml

from airgap_bundle.build.artifact import BuildContext, BuiltArtifact, BuiltFile
from airgap_bundle.build.cache import BuildCache
from airgap_bundle.build.recipe import kind
from airgap_bundle.build.recipe.recipe_file import load_recipe
from airgap_bundle.build.stage import silent
from airgap_bundle.errors import BuildError, LockError
from airgap_bundle.lock import ReleaseLock
from airgap_bundle.locked_packages import LockedPackage, PackageSet
from airgap_bundle.made_artifacts import RecipeArtifact
from tests.debs import SmallDeb, link, member
from tests.unit.build.synthetic_release import write_wheel

if TYPE_CHECKING:
    from pathlib import Path

IMAGE = "site.internal/tool:1.0"
SPEC = RecipeArtifact(kind="image-recipe", name="tool", recipe="images/tool/recipe.yaml", image=IMAGE)
PLAIN = SmallDeb("alpha", members=[member("usr/bin/alpha", b"run", mode=0o755), member("usr/share/man/a.1", b"?")])
SHELL = SmallDeb("dash", members=[member("bin/dash", b"run", mode=0o755), link("bin/sh", "dash")])


class Bench:
    """A release of one recipe whose parts lie in a cache."""

    def __init__(self, root: Path, *debs: SmallDeb, cache: str = "cache") -> None:
        self.root = root
        self.cache = BuildCache(root / cache)
        (root / "images" / "tool").mkdir(parents=True, exist_ok=True)
        packages = tuple(self._locked(deb) for deb in debs)
        names = tuple(sorted(deb.name for deb in debs))
        sets = (PackageSet("tool", "bookworm", names, (), packages),) if debs else ()
        self.lock = ReleaseLock("site", "1.0.0", packages=sets)
        self.artifacts: dict[str, BuiltArtifact] = {}

    def _locked(self, deb: SmallDeb) -> LockedPackage:
        kept = self.cache.add_file(deb.write(self.root / "pool"))
        return LockedPackage(deb.name, deb.version, deb.architecture, deb.file, kept.sha256, kept.size)

    def recipe(self, *layers: dict[str, Any], **more: Any) -> None:
        value = {"schema": 1, "title": "Tool", "licence": "MIT", "user": 65532, "layers": list(layers), **more}
        path = self.root / "images" / "tool" / "recipe.yaml"
        path.write_text(yaml.safe_dump({key: found for key, found in value.items() if found is not None}))

    def wheelhouse(self, *wheels: Path) -> None:
        files = tuple(BuiltFile(path.name, self.cache.add_file(path)) for path in wheels)
        self.artifacts["runtime"] = BuiltArtifact("wheelhouse", "runtime", "1", {}, files, ())

    def build(self) -> BuiltArtifact:
        context = BuildContext(
            self.root, 0, "1.0.0", self.lock, {}, self.cache, silent, self.artifacts, suite="bookworm"
        )
        return kind.build(SPEC, context)


def config_of(artifact: BuiltArtifact) -> dict[str, Any]:
    assert artifact.foreign is not None
    manifest = json.loads(artifact.foreign.manifest.path.read_bytes())
    digest = manifest["config"]["digest"].removeprefix("sha256:")
    (file,) = [item for item in artifact.foreign.blobs if item.sha256 == digest]
    value: dict[str, Any] = json.loads(file.path.read_bytes())
    return value


def test_an_image_made_here_is_an_image_like_any_other(tmp_path: Path) -> None:
    bench = Bench(tmp_path, PLAIN)
    bench.recipe({"debian": {"packages": ["alpha"]}}, entrypoint=["/usr/bin/alpha"])
    made = bench.build()
    assert (made.kind, made.version) == ("image", "1.0")
    assert made.foreign is not None
    assert made.foreign.annotations["vnd.sovereign.image.source"] == SPEC.image
    assert config_of(made)["config"]["Entrypoint"] == ["/usr/bin/alpha"]


def test_the_sbom_names_the_package_its_purl_and_its_digest(tmp_path: Path) -> None:
    bench = Bench(tmp_path, PLAIN)
    bench.recipe({"debian": {"packages": ["alpha"]}})
    found = {item.name: item for item in bench.build().components}
    assert found["alpha"].purl == "pkg:deb/debian/alpha@1.0-1?arch=amd64&distro=bookworm"
    assert found["alpha"].sha256 == bench.lock.packages[0].packages[0].sha256
    assert found["tool"].form == "container"


def test_equal_parts_give_one_manifest_in_two_places(tmp_path: Path) -> None:
    benches = [Bench(tmp_path / "one", PLAIN), Bench(tmp_path / "another-much-longer", PLAIN)]
    digests = set()
    for bench in benches:
        bench.recipe({"debian": {"packages": ["alpha"]}})
        made = bench.build()
        assert made.foreign is not None
        digests.add(made.foreign.manifest.sha256)
    assert len(digests) == 1


def test_a_warm_build_reads_no_package(tmp_path: Path) -> None:
    bench = Bench(tmp_path, PLAIN)
    bench.recipe({"debian": {"packages": ["alpha"]}})
    before = bench.build()
    bench.cache.forget(bench.lock.packages[0].packages[0].sha256)
    assert bench.build() == before


def test_a_shell_needs_a_reason_and_a_reason_a_shell(tmp_path: Path) -> None:
    bench = Bench(tmp_path, SHELL)
    bench.recipe({"debian": {"packages": ["dash"]}})
    with pytest.raises(BuildError, match="has a shell: usr/bin/dash, usr/bin/sh"):
        bench.build()
    bench.recipe({"debian": {"packages": ["dash"]}}, shell="its scripts are shell scripts")
    assert "vnd.sovereign.image.shell" in config_of(bench.build())["config"]["Labels"]
    bench.recipe({"debian": {"packages": ["dash"]}, "remove": ["usr/bin/*sh"]}, shell="its scripts are shell scripts")
    with pytest.raises(BuildError, match="has none"):
        bench.build()


def test_root_needs_a_reason(tmp_path: Path) -> None:
    bench = Bench(tmp_path)
    bench.recipe({}, user=None)
    with pytest.raises(LockError, match="why it runs as root"):
        bench.build()
    bench.recipe({}, user=None, root="it mends the host's clock")
    assert config_of(bench.build())["config"]["User"] == "0:0"


def test_manuals_go_and_licences_stay(tmp_path: Path) -> None:
    deb = SmallDeb(
        members=[member("usr/share/doc/alpha/copyright", b"(c)"), member("usr/share/doc/alpha/NEWS", b"new")]
    )
    bench = Bench(tmp_path, deb)
    bench.recipe({"debian": {"packages": ["alpha"]}, "remove": ["usr/share/doc/alpha/copyright"]})
    bench.build()
    bench.recipe({"debian": {"packages": ["alpha"]}, "remove": ["usr/share/doc/alpha/NEWS"]})
    with pytest.raises(BuildError, match="nothing matches usr/share/doc/alpha/NEWS"):
        bench.build()


def test_wheels_are_chosen_for_the_interpreter_and_laid_flat(tmp_path: Path) -> None:
    bench = Bench(tmp_path)
    wheel = write_wheel(tmp_path, "beta", "2.0", {"beta/__init__.py": b"", "beta-2.0.data/scripts/beta": b"#!python"})
    other = wheel.with_name("beta-2.0-cp313-cp313-manylinux_2_28_x86_64.whl")
    other.write_bytes(b"another interpreter's")
    bench.wheelhouse(wheel, other)
    bench.recipe({"wheels": [{"artifact": "runtime", "python": "3.11", "path": "/opt/app"}]})
    found = {item.name: item for item in bench.build().components}
    assert found["beta"].licence == "MIT"
    bench.recipe({"wheels": [{"artifact": "runtime", "python": "3.11", "path": "/opt/app", "without": ["gamma"]}]})
    with pytest.raises(BuildError, match="no gamma"):
        bench.build()


def test_a_file_of_the_recipe_shapes_the_image(tmp_path: Path) -> None:
    bench = Bench(tmp_path)
    source = tmp_path / "images" / "tool" / "passwd"
    source.write_text("one\n")
    bench.recipe({"files": [{"path": "/etc/passwd", "source": "passwd"}]})
    first = bench.build()
    source.write_text("two\n")
    assert bench.build().foreign != first.foreign


def test_packages_are_those_that_were_locked_for_this_recipe(tmp_path: Path) -> None:
    bench = Bench(tmp_path, PLAIN)
    bench.recipe({"debian": {"packages": ["alpha", "beta"]}})
    with pytest.raises(LockError, match="other packages than were locked"):
        bench.build()


def test_a_package_that_says_it_is_another_is_refused(tmp_path: Path) -> None:
    bench = Bench(tmp_path, PLAIN)
    (packages,) = bench.lock.packages
    renamed = replace(packages, packages=(replace(packages.packages[0], version="9.9-1"),))
    bench.lock = replace(bench.lock, packages=(renamed,))
    bench.recipe({"debian": {"packages": ["alpha"]}})
    with pytest.raises(BuildError, match=r"is alpha 1\.0-1 amd64, and was locked as alpha 9\.9-1"):
        bench.build()


@pytest.mark.parametrize(
    ("layer", "said"),
    [
        ({"files": [{"path": "etc/passwd", "text": ""}]}, "begins with one slash"),
        ({"files": [{"path": "/etc/../x", "text": ""}]}, "no path of an image"),
        ({"files": [{"path": "/x", "text": "", "source": "y"}]}, "a source or a text"),
        ({"folders": [{"path": "/x", "mode": "4755"}]}, "should match pattern"),
        ({"unknown": 1}, "unknown"),
    ],
)
def test_a_mistake_in_a_recipe_is_told_where_it_is(layer: dict[str, Any], said: str, tmp_path: Path) -> None:
    bench = Bench(tmp_path)
    bench.recipe(layer)
    with pytest.raises(LockError, match=said):
        load_recipe(tmp_path / SPEC.recipe)
