"""Which GPUs a host has is what its driver's folder says, and nothing that it words reaches a terminal."""

from __future__ import annotations

from typing import TYPE_CHECKING

from appliance.site.gpu import Gpu, gpu, gpus

if TYPE_CHECKING:
    from pathlib import Path

H100 = (
    "Model: \t\t NVIDIA H100 80GB HBM3\nIRQ:   \t\t 41\nBus Type: \t PCIe\n"
    "Bus Location: \t 0000:00:06.0\nDevice Minor: \t 0\nGPU Excluded:\t No\n"
)


def _driver(root: Path, **described: str) -> Path:
    for place, text in described.items():
        folder = root / "gpus" / place.replace("_", ":")
        folder.mkdir(parents=True)
        (folder / "information").write_text(text)
    return root


def test_a_gpu_is_numbered_by_its_place_on_the_bus_and_leads_to_the_device_of_its_minor_number(tmp_path: Path) -> None:
    other = H100.replace("Device Minor: \t 0", "Device Minor: \t 1").replace("H100", "L4")
    root = _driver(tmp_path, **{"0000_00_06.0": other, "0000_41_00.0": H100})
    first, second = gpus(root)
    assert (first.number, first.minor, first.model) == (0, 1, "NVIDIA L4 80GB HBM3")
    assert (second.number, second.minor) == (1, 0)
    assert gpu(1, root) == second
    assert [str(path) for path in first.files()] == ["/dev/nvidia1", "/dev/nvidiactl", "/dev/nvidia-uvm"]


def test_a_host_without_the_driver_has_none(tmp_path: Path) -> None:
    assert gpus(tmp_path) == ()
    assert gpu(0, tmp_path) is None


def test_an_entry_without_a_device_is_none_and_words_are_shown_as_they_are_only_where_they_can_be(
    tmp_path: Path,
) -> None:
    root = _driver(tmp_path, a="Model: x\nDevice Minor: many\n", b="", c="Model: \x1b[31m\nDevice Minor: 3\n")
    (tmp_path / "gpus" / "d").mkdir()
    assert gpus(root) == (Gpu(0, 3, "'\\x1b[31m'"),)
