"""Memory and folders, of a machine that is made up."""

from __future__ import annotations

from pathlib import Path

from forgecli.doctor.machine import can_write, folders, memory


def system(root: Path, limit: str) -> Path:
    (root / "proc").mkdir()
    (root / "proc/meminfo").write_text(
        "MemTotal:       16000 kB\nMemFree:  1 kB\nMemAvailable:    9000 kB\n", encoding="utf-8"
    )
    (root / "sys/fs/cgroup").mkdir(parents=True)
    (root / "sys/fs/cgroup/memory.max").write_text(limit, encoding="utf-8")
    return root


def test_memory_is_read(tmp_path: Path) -> None:
    found = memory(system(tmp_path, "max\n"))
    assert (found.total, found.free, found.limit) == (16000 << 10, 9000 << 10, 0)


def test_the_limit_of_a_group(tmp_path: Path) -> None:
    assert memory(system(tmp_path, "4096000\n")).limit == 4_096_000


def test_a_limit_above_the_memory_is_none(tmp_path: Path) -> None:
    assert memory(system(tmp_path, "9223372036854771712")).limit == 0


def test_folders_follow_the_environment(tmp_path: Path) -> None:
    environment = {"XDG_CACHE_HOME": str(tmp_path / "c"), "NUMBA_CACHE_DIR": str(tmp_path / "n"),
                   "CUPY_CACHE_DIR": str(tmp_path / "k")}  # fmt: skip
    (tmp_path / "n").mkdir()
    (tmp_path / "n" / "x.nbi").write_bytes(b"12345")
    found = {folder.holds: folder for folder in folders(environment, tmp_path)}
    assert found["kernels compiled by numba"].path == tmp_path / "n"
    assert found["kernels compiled by numba"].bytes == 5
    assert found["networks compiled by OpenVINO"].path == tmp_path / "c" / "forge" / "openvino"
    assert found["kernels compiled by CuPy"].path == tmp_path / "k"
    assert all(folder.writable for folder in found.values()), "they can be made"
    assert not (tmp_path / "c").exists(), "but are not"


def test_the_folder_of_compiled_networks_is_the_engines(tmp_path: Path) -> None:
    from forgecli.segment.compiled import compiled_networks

    environment = {"XDG_CACHE_HOME": str(tmp_path)}
    kept = compiled_networks("ab" * 32, environment)
    found = {folder.holds: folder for folder in folders(environment, tmp_path)}
    assert kept is not None
    assert kept.parent == found["networks compiled by OpenVINO"].path


def test_a_file_is_no_folder(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    assert not can_write(tmp_path / "file" / "below")
    assert can_write(tmp_path / "a" / "b")
