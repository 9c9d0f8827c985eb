"""Code for GPUs is the wheel's own, is loaded where site.yaml names a GPU and nowhere else, and takes that one."""

from __future__ import annotations

import base64
import ctypes
import hashlib
import os
from importlib import metadata
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from appliance.engine import launch, llama_backend, llama_gpu, llama_model, wheel_files
from appliance.engine.errors import BackendError, MemoryBudgetError
from appliance.site.gpu import Gpu
from appliance.site.served import Model

CPU, GPU = 0, 1  # ggml-backend.h, enum ggml_backend_dev_type


@pytest.fixture
def library(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The wheel's library; loading it is noted in its place."""
    path = tmp_path / llama_gpu.LIBRARY
    path.write_bytes(b"code for GPUs")
    digest = base64.urlsafe_b64encode(hashlib.sha256(path.read_bytes()).digest()).rstrip(b"=").decode()
    file = SimpleNamespace(name=path.name, hash=SimpleNamespace(mode="sha256", value=digest), locate=lambda: path)
    monkeypatch.setattr(metadata, "files", lambda _name: [file])
    monkeypatch.setattr(wheel_files, "register", lambda taken: path.with_suffix(".taken").write_text(str(taken)))
    for name in ("CUDA_VISIBLE_DEVICES", "CUDA_DEVICE_ORDER", "CUDA_CACHE_DISABLE"):
        monkeypatch.setenv(name, "as it was")
    return path


def _seen(monkeypatch: pytest.MonkeyPatch, *devices: tuple[int, bytes, int]) -> None:
    """Let ggml see ``devices``: kind, description, memory."""

    def call(name: str, _result: Any, *arguments: Any) -> Any:
        if name == "ggml_backend_dev_count":
            return len(devices)
        if name == "ggml_backend_dev_get":
            return 1 + arguments[0].value
        kind, description, size = devices[arguments[0].value - 1]
        if name == "ggml_backend_dev_memory":
            arguments[1]._obj.value, arguments[2]._obj.value = size // 4, size
        return {"ggml_backend_dev_type": kind, "ggml_backend_dev_description": description}.get(name)

    monkeypatch.setattr(llama_gpu, "_call", call)


def test_the_library_is_loaded_by_its_own_path_and_the_process_sees_that_gpu_alone(
    library: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _seen(monkeypatch, (CPU, b"a processor", 1), (GPU, b"NVIDIA H100", 80 << 30))
    assert llama_gpu.start(2) == llama_gpu.Device("NVIDIA H100", memory_bytes=80 << 30, free_bytes=20 << 30)
    assert library.with_suffix(".taken").read_text() == str(library)
    assert (os.environ["CUDA_VISIBLE_DEVICES"], os.environ["CUDA_DEVICE_ORDER"]) == ("2", "PCI_BUS_ID")
    assert os.environ["CUDA_CACHE_DISABLE"] == "1", "an engine writes no files"


def test_a_library_that_is_not_the_releases_is_not_loaded(library: Path) -> None:
    library.write_bytes(b"somebody else's code")
    with pytest.raises(BackendError, match=r"libggml-cuda\.so is not the file that the release delivered"):
        llama_gpu.start(0)
    assert not library.with_suffix(".taken").exists()


def test_a_release_without_such_code_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(metadata, "files", lambda _name: [])
    with pytest.raises(BackendError, match="built without code for GPUs") as refused:
        llama_gpu.start(0)
    assert "site.yaml" in refused.value.hint


@pytest.mark.parametrize("devices", [(), ((CPU, b"a processor", 1),), ((GPU, b"a", 1), (GPU, b"b", 1))])
def test_any_number_of_gpus_but_one_ends_the_start(
    library: Path, monkeypatch: pytest.MonkeyPatch, devices: tuple[tuple[int, bytes, int], ...]
) -> None:
    assert library.exists()
    _seen(monkeypatch, *devices)
    with pytest.raises(BackendError, match="gives this engine no GPU 3"):
        llama_gpu.start(3)


def test_a_model_larger_than_what_is_free_there_is_refused_before_any_of_it_is_loaded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = tmp_path / "model.gguf"
    model.write_bytes(bytes(5 << 20))
    device = llama_gpu.Device("NVIDIA H100", memory_bytes=80 << 30, free_bytes=(5 << 20) - 1)
    monkeypatch.setattr(llama_backend, "device", lambda: device)
    monkeypatch.setattr(llama_model.llama_cpp, "llama_model_load_from_file_ptr", lambda *_: pytest.fail("it was read"))
    with model.open("rb") as file, pytest.raises(MemoryBudgetError, match="needs 5 MiB on the GPU, of which 4 MiB"):
        llama_model.load(file.fileno())


def test_a_name_that_is_no_text_is_quoted(library: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert library.exists()
    _seen(monkeypatch, (GPU, b"\x1b[31mred", 1))
    assert llama_gpu.start(0).name == "'\\x1b[31mred'"


def test_without_a_gpu_in_site_yaml_nothing_of_it_is_loaded_or_granted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(llama_gpu, "start", lambda number: pytest.fail(f"GPU {number} was taken"))
    llama_backend.start()
    assert llama_backend.device() is None
    view = launch.view_of(Model(name="m"), (Path("/lib"),), Path("/run/engine"))
    assert (view.readable, view.devices, view.threads) == ((Path("/lib"),), (), None)


def test_with_one_the_engine_sees_its_device_files_and_the_drivers_and_without_a_driver_does_not_start(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(launch, "gpu", lambda number: Gpu(number, 5, "a GPU") if number == 0 else None)
    view = launch.view_of(Model(name="m", gpu=0), (Path("/lib"),), Path("/run/engine"))
    assert [str(path) for path in view.devices] == ["/dev/nvidia5", "/dev/nvidiactl", "/dev/nvidia-uvm"]
    assert set(view.readable) > {Path("/lib"), Path("/proc/self")}
    assert view.threads == Path("/proc/self/task")
    assert not {Path("/"), Path("/proc"), Path("/dev"), Path("/sys")} & set(view.readable)
    with pytest.raises(BackendError, match="this host has no GPU 1"):
        launch.view_of(Model(name="m", gpu=1), (), Path("/run/engine"))


def test_ggmls_own_functions_are_there() -> None:
    """Those that are called, in the libraries of the wheel that tests run with."""
    count = llama_gpu._call("ggml_backend_dev_count", ctypes.c_size_t)
    llama_backend.start()
    assert llama_gpu._call("ggml_backend_dev_count", ctypes.c_size_t) >= max(count, 1)
    assert llama_gpu._devices() == []
