"""`release.lock` names every input by digest, never an address; a change is one line of a diff."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from airgap_bundle.compiled_recipe import CompiledRecipe
from airgap_bundle.errors import LockError
from airgap_bundle.lock import Key, LockedInput, ReleaseLock, dump_lock, load_lock, merged

INPUT = LockedInput("runtime", "wheel", "alpha", "1.0", "alpha-1.0-py3-none-any.whl", "a" * 64, 10, ("3.11", "3.12"))
RECIPE = CompiledRecipe(
    artifact="runtime",
    name="native",
    version="1.0",
    sdist="b" * 64,
    cmake={"OPTION": "ON"},
    project_include={},
    include_sha256={},
    wheel_exclude=("lib/**",),
    python="3.11",
    compiler="gcc 12",
    linker="ld 2.40",
    tools={"cmake": "4"},
    source_date_epoch=0,
    file="native-1.0-py3-none-linux_x86_64.whl",
    sha256="c" * 64,
    size=5,
)
OWN = replace(
    RECIPE,
    name="our-answer",
    project="native/our-answer",
    project_sha256="d" * 64,
    package="foreign==4.2",
    package_folder="src/lib",
)
LOCK = ReleaseLock("demo", "1.0.0", (INPUT,), (RECIPE,))
OWN_FIELDS = {name: getattr(OWN, name) for name in ("project", "project_sha256", "package", "package_folder")}
REPOSITORY = Path(__file__).parents[3]


def write(tmp_path: Path, lock: ReleaseLock = LOCK) -> Path:
    path = tmp_path / "release.lock"
    path.write_bytes(dump_lock(lock))
    return path


def test_a_lock_is_read_back_as_it_was_written(tmp_path: Path) -> None:
    assert load_lock(write(tmp_path)) == LOCK


def test_the_recipe_of_a_project_of_ours_is_read_back_and_names_its_package(tmp_path: Path) -> None:
    lock = replace(LOCK, compiled=(RECIPE, OWN))
    assert load_lock(write(tmp_path, lock)) == lock
    assert (RECIPE.source, OWN.source) == (("native", "1.0"), ("foreign", "4.2"))
    assert "project_sha256" not in RECIPE.to_json()


def test_writing_does_not_depend_on_the_order_of_inputs() -> None:
    other = LockedInput("runtime", "wheel", "beta", "2.0", "beta-2.0-py3-none-any.whl", "d" * 64, 10)
    assert dump_lock(ReleaseLock("demo", "1.0.0", (INPUT, other))) == dump_lock(
        ReleaseLock("demo", "1.0.0", (other, INPUT))
    )


def test_one_changed_input_is_one_changed_line() -> None:
    changed = replace(INPUT, sha256="e" * 64, size=11)
    before = dump_lock(LOCK).splitlines()
    after = dump_lock(ReleaseLock("demo", "1.0.0", (changed,), (RECIPE,))).splitlines()
    assert sum(one != two for one, two in zip(before, after, strict=True)) == 1


def test_one_file_answers_for_every_interpreter_that_it_was_chosen_for() -> None:
    for python in ("3.11", "3.12"):
        assert LOCK.find(Key("runtime", "wheel", "alpha", "1.0", python)) == INPUT
    with pytest.raises(LockError, match=r"no wheel alpha 1\.0 for python 3\.13 in runtime"):
        LOCK.find(Key("runtime", "wheel", "alpha", "1.0", "3.13"))


def test_what_came_for_each_interpreter_is_one_line_where_it_is_one_file() -> None:
    newest_first = [replace(INPUT, python=(python,)) for python in ("3.12", "3.9", "3.11")]
    native = replace(INPUT, file="alpha-1.0-cp313-cp313-linux_x86_64.whl", sha256="f" * 64, python=("3.13",))
    assert merged([native, *newest_first]) == (native, replace(INPUT, python=("3.9", "3.11", "3.12")))


def test_two_files_for_one_interpreter_are_no_lock(tmp_path: Path) -> None:
    other = replace(INPUT, file="alpha-1.0-py2.py3-none-any.whl", sha256="f" * 64, python=("3.12",))
    with pytest.raises(LockError, match="locked twice"):
        load_lock(write(tmp_path, ReleaseLock("demo", "1.0.0", (INPUT, other))))


def test_a_missing_lock_says_how_to_make_one(tmp_path: Path) -> None:
    with pytest.raises(LockError, match="no lock") as caught:
        load_lock(tmp_path / "release.lock")
    assert caught.value.hint == "run `sovereign bundle lock`"


@pytest.mark.parametrize(
    ("change", "cause"),
    [
        (lambda value: value.update(schema=2), "not a release lock of schema 1"),
        (lambda value: value.update(more=1), "not a release lock of schema 1"),
        (lambda value: value["inputs"][0].update(sha256="zz"), "no sha256"),
        (lambda value: value["inputs"][0].update(size=-1), "no sha256 or no size"),
        (lambda value: value["inputs"][0].update(kind="rumour"), "unknown kind"),
        (lambda value: value["inputs"][0].update(file="../../etc/passwd"), "unsafe name"),
        (lambda value: value["inputs"][0].pop("name"), "other fields"),
        (lambda value: value["inputs"][0].update(python="3.11"), "no versions of python"),
        (lambda value: value["inputs"][0].update(python=["three"]), "no versions of python"),
        (lambda value: value["inputs"].append(value["inputs"][0]), "locked twice"),
        (lambda value: value["compiled"][0].update(sha256="C" * 64), "no sha256"),
        (lambda value: value["compiled"][0].update(cmake={"OPTION": 1}), "wrong type"),
        (lambda value: value["compiled"][0].update(wheel_exclude="lib"), "wrong type"),
        (lambda value: value["compiled"][0].update(project="native/ours"), "a recipe in the lock has other fields"),
        (lambda value: value["compiled"][0].update(OWN_FIELDS | {"package": "loose"}), "no package"),
        (lambda value: value["compiled"][0].update(OWN_FIELDS | {"project_sha256": "d"}), "no digest of its project"),
        (lambda value: value["compiled"][0].update(OWN_FIELDS | {"package_folder": "../up"}), "unsafe name"),
    ],
)
def test_a_lock_that_is_no_lock_is_refused(tmp_path: Path, change: object, cause: str) -> None:
    value = json.loads(dump_lock(LOCK))
    change(value)  # type: ignore[operator]  # one of the lambdas above
    path = tmp_path / "release.lock"
    path.write_text(json.dumps(value))
    with pytest.raises(LockError, match=cause):
        load_lock(path)


def test_the_committed_lock_covers_the_committed_release_and_names_no_address() -> None:
    text = (REPOSITORY / "sources" / "release.lock").read_text()
    assert "://" not in text
    lock = load_lock(REPOSITORY / "sources" / "release.lock")
    assert {item.kind for item in lock.inputs} == {"wheel", "sdist", "maven"}
    assert all(recipe.sha256 and recipe.compiler and recipe.tools for recipe in lock.compiled)
