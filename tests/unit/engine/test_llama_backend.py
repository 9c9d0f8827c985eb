"""Native code is loaded by its whole path and for its bytes, or the engine does not start."""

from __future__ import annotations

import base64
import hashlib
from importlib import metadata
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest

from appliance.engine import launch, llama_backend
from appliance.engine.errors import BackendError
from appliance.site.processor import VARIANTS, processor_flags, variant_for

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

V2 = {"lm", "sse2", "pni", "ssse3", "sse4_1", "sse4_2", "popcnt", "cx16", "lahf_lm"}
HASWELL = V2 | {"avx", "avx2", "fma", "f16c", "bmi2"}
SKYLAKEX = HASWELL | {"avx512f", "avx512cd", "avx512vl", "avx512dq", "avx512bw"}


@pytest.fixture
def wheel(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A wheel's libraries, and its list of them."""
    listed = []
    for variant in VARIANTS:
        path = tmp_path / f"libggml-cpu-{variant}.so"
        path.write_bytes(f"code for {variant}".encode())
        digest = base64.urlsafe_b64encode(hashlib.sha256(path.read_bytes()).digest()).rstrip(b"=").decode()
        listed.append(_File(path, digest))
    monkeypatch.setattr(metadata, "files", lambda _name: listed)
    return tmp_path


class _File:
    def __init__(self, path: Path, digest: str) -> None:
        self.name, self._path = path.name, path
        self.hash = SimpleNamespace(mode="sha256", value=digest)

    def locate(self) -> Path:
        return self._path


def test_libraries_are_those_that_the_wheel_lists_best_first_by_whole_paths(wheel: Path) -> None:
    assert llama_backend.libraries() == {v: (wheel / f"libggml-cpu-{v}.so").resolve() for v in VARIANTS}


def test_one_that_was_altered_or_taken_away_is_refused_by_name(wheel: Path) -> None:
    (wheel / "libggml-cpu-sse42.so").write_bytes(b"somebody else's code")
    with pytest.raises(BackendError, match=r"libggml-cpu-sse42\.so is not the file that the release delivered"):
        llama_backend.libraries()
    (wheel / "libggml-cpu-sse42.so").unlink()
    with pytest.raises(BackendError, match=r"libggml-cpu-sse42\.so cannot be read") as refused:
        llama_backend.libraries()
    assert refused.value.hint


def test_a_wheel_that_was_built_otherwise_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(metadata, "files", lambda _name: [])
    with pytest.raises(BackendError, match="built without libggml-cpu-icelake"):
        llama_backend.libraries()


@pytest.mark.parametrize(
    ("scores", "chosen"),
    [({"icelake": 128, "haswell": 64, "sse42": 5}, "icelake"), ({"haswell": 64, "sse42": 5}, "haswell")],
)
def test_the_highest_score_is_chosen(
    wheel: Path, monkeypatch: pytest.MonkeyPatch, scores: dict[str, int], chosen: str
) -> None:
    monkeypatch.setattr(llama_backend, "_score", lambda path: scores.get(path.stem.removeprefix("libggml-cpu-"), 0))
    assert llama_backend._best(llama_backend.libraries(), None) == (chosen, wheel / f"libggml-cpu-{chosen}.so")


def test_a_processor_that_runs_none_of_them_is_told_so(wheel: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(llama_backend, "_score", lambda _path: 0)
    for only, cause in ((None, "lacks SSE4.2"), ("icelake", "lacks what ggml's variant icelake")):
        with pytest.raises(BackendError, match=cause):
            llama_backend._best(llama_backend.libraries(), only)
    assert wheel.is_dir()


def test_what_is_no_library_at_all_is_refused(wheel: Path) -> None:
    with pytest.raises(BackendError, match="cannot be loaded"):
        llama_backend._score(wheel / "libggml-cpu-sse42.so")


@pytest.mark.parametrize(
    ("flags", "variant"),
    [
        (SKYLAKEX | {"avx512vbmi", "avx512_vnni"}, "icelake"),
        (SKYLAKEX | {"avx512_vnni"}, "skylakex"),
        (SKYLAKEX - {"avx512bw"}, "haswell"),
        (HASWELL - {"avx"}, "sse42"),
        (V2, "sse42"),
        (V2 - {"popcnt"}, None),
        ({"lm", "sse2"}, None),
        (set(), None),
    ],
)
def test_preflight_foretells_the_variant_from_what_the_kernel_shows(flags: Any, variant: str | None) -> None:
    assert variant_for(flags) == variant


def test_only_what_every_processor_of_the_host_offers_counts(tmp_path: Path) -> None:
    found = tmp_path / "cpuinfo"
    found.write_text("processor: 0\nflags\t\t: lm sse2 avx\n\nprocessor: 1\nflags\t\t: lm sse2\n")
    assert processor_flags(found) == {"lm", "sse2"}
    found.unlink()
    assert processor_flags(found) == {"lm", "sse2"}, "as a process that has confined itself must still know"
    assert processor_flags(tmp_path / "none") == frozenset()


@pytest.fixture
def runs(monkeypatch: pytest.MonkeyPatch) -> Callable[[set[str]], None]:
    """Let this host's processor have other flags."""

    def have(flags: set[str]) -> None:
        for module in (llama_backend, launch):
            monkeypatch.setattr(module, "processor_flags", lambda: frozenset(flags))

    return have


def test_an_older_processor_than_anything_here_runs_on_is_told_so_before_anything_is_loaded(
    tmp_path: Path, runs: Callable[[set[str]], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    def opened(*_: object) -> None:
        raise AssertionError("it went on")

    runs({"lm", "sse2"})
    monkeypatch.setattr(launch, "bound", opened)
    given: Any = {"template": "", "receipt": {}, "record": {}, "config": None, "clients": frozenset()}
    with pytest.raises(BackendError, match=r"this processor lacks SSE4\.2") as refused:
        launch.serve(weights_fd=-1, socket=tmp_path / "sock", **given)
    assert refused.value.hint


def test_a_wheel_that_was_built_for_one_level_ends_no_process_on_a_processor_without_it(
    runs: Callable[[set[str]], None],
) -> None:
    for flags, found in ((V2, "sse42"), ({"lm", "sse2"}, "no variant")):
        runs(flags)
        with pytest.raises(BackendError, match=f"built for haswell alone, and this processor runs {found}"):
            llama_backend._only(None)
    runs(SKYLAKEX)
    assert llama_backend._only(None) == "haswell"


def test_a_wheel_that_was_built_for_one_level_has_nothing_to_choose(
    monkeypatch: pytest.MonkeyPatch, runs: Callable[[set[str]], None]
) -> None:
    runs(HASWELL)
    monkeypatch.setattr(metadata, "files", lambda _name: [SimpleNamespace(name="libggml-cpu.so")])
    assert llama_backend.is_one()
    assert llama_backend._only(None) == llama_backend._only("haswell") == "haswell"
    with pytest.raises(BackendError, match="built for haswell alone"):
        llama_backend._only("icelake")
