"""Cores, memory, and the folders where forge keeps what it compiled."""

from __future__ import annotations

import os
import platform
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Memory:
    """Main memory, bytes; 0 where the system does not say.

    Attributes:
        total: of the machine.
        free: what programs could take now.
        limit: what this process's group may take; 0: no limit.
    """

    total: int = 0
    free: int = 0
    limit: int = 0


def memory(root: Path = Path("/")) -> Memory:
    """What the system says of its memory.

    Args:
        root: where ``proc`` and ``sys`` are.
    """
    values: dict[str, int] = {}
    for line in _text(root / "proc/meminfo").splitlines():
        name, _, rest = line.partition(":")
        number = rest.split()[0] if rest.split() else ""
        if number.isdigit():
            values[name] = int(number) << 10
    total = values.get("MemTotal", 0) or _total_by_sysconf()
    limits = (_text(root / "sys/fs/cgroup" / name).strip()
              for name in ("memory.max", "memory/memory.limit_in_bytes"))  # fmt: skip
    limit = next((int(text) for text in limits if text.isdigit()), 0)
    return Memory(total, values.get("MemAvailable", 0), limit if limit < total else 0)


def _total_by_sysconf() -> int:
    names = getattr(os, "sysconf_names", {})
    if "SC_PHYS_PAGES" in names and "SC_PAGE_SIZE" in names:
        return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    return 0


def processor() -> str:
    """The processor's name, as the system has it."""
    for line in _text(Path("/proc/cpuinfo")).splitlines():
        if line.startswith("model name"):
            return line.split(":", 1)[1].strip()
    return platform.processor() or platform.machine()


@dataclass(frozen=True, slots=True)
class Folder:
    """A folder that something is kept in.

    Attributes:
        holds: what, in words.
        path: of the folder, which need not exist yet.
        writable: whether files can be put there, it being made if need be.
        bytes: what it holds now.
    """

    holds: str
    path: Path
    writable: bool
    bytes: int


def folders(environment: Mapping[str, str], home: Path) -> list[Folder]:
    """The folders of caches, as the libraries choose them.

    Args:
        environment: usually `os.environ`.
        home: of the user.
    """
    cache = Path(environment.get("XDG_CACHE_HOME") or home / ".cache")
    places = {
        "kernels compiled by numba": _numba_folder(environment),
        "networks compiled by OpenVINO": _openvino_folder(cache),
        "kernels compiled by CuPy": Path(
            environment.get("CUPY_CACHE_DIR") or home / ".cupy" / "kernel_cache"
        ),
    }
    return [Folder(holds, path, can_write(path), _size(path)) for holds, path in places.items()]


def can_write(folder: Path) -> bool:
    """Whether files can be put into a folder, or it can be made. Makes and writes nothing."""
    try:
        there = next(each for each in (folder, *folder.parents) if each.exists())
        return there.is_dir() and os.access(there, os.W_OK | os.X_OK)
    except (OSError, StopIteration):
        return False


def _numba_folder(environment: Mapping[str, str]) -> Path:
    """Where numba keeps what it compiles of `kernels`: as set, or beside the sources."""
    if environment.get("NUMBA_CACHE_DIR"):
        return Path(environment["NUMBA_CACHE_DIR"])
    from importlib.util import find_spec

    found = find_spec("kernels")
    beside = Path(found.origin).parent / "__pycache__" if found and found.origin else Path()
    return beside


def _openvino_folder(cache: Path) -> Path:
    return cache / "forge" / "openvino"


def _size(folder: Path) -> int:
    """Bytes of the files right in a folder, and one level below."""
    try:
        files = [*folder.glob("*"), *folder.glob("*/*")]
        return sum(file.stat().st_size for file in files if file.is_file())
    except OSError:
        return 0


def _text(file: Path) -> str:
    try:
        return file.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""
