"""Where compiled networks are kept, so that the next start is faster."""

from __future__ import annotations

import os
import shutil
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

MOST_BYTES = 2 << 30
"""Of all compiled networks together; the oldest go first."""


def compiled_networks(sha256: str, environment: Mapping[str, str] | None = None) -> Path | None:
    """The folder for what OpenVINO makes of one network, or None if nothing can be kept.

    It is in ``forge/openvino`` of XDG_CACHE_HOME or ``~/.cache``, where no other user can write.
    OpenVINO looks at model, settings, processor and its own version before it takes a file from
    there; a file that another process has not finished is made anew.

    Args:
        sha256: of the network's file.
        environment: `os.environ` if None.
    """
    try:
        root = _cache_home(os.environ if environment is None else environment) / "forge/openvino"
        folder = root / sha256[:16]
        root.parent.parent.mkdir(parents=True, exist_ok=True)
        for each in (root.parent, root, folder):
            each.mkdir(mode=0o700, exist_ok=True)
        if not _ours(root) or not os.access(folder, os.W_OK | os.X_OK):
            return None
        os.utime(folder)
        forget_oldest(root, MOST_BYTES, keep=folder)
    except (OSError, RuntimeError):  # read-only, full, or no home: it works without
        return None
    return folder


def forget_oldest(root: Path, most: int, *, keep: Path) -> None:
    """Remove the folders that were not used for longest until the others are small enough.

    Args:
        root: holds a folder for each network.
        most: bytes.
        keep: this one stays.
    """
    folders = [folder for folder in root.iterdir() if folder.is_dir() and not folder.is_symlink()]
    sizes = {folder: _size(folder) for folder in folders}
    total = sum(sizes.values())
    for folder in sorted(folders, key=lambda folder: folder.stat().st_mtime):
        if total <= most:
            return
        if folder != keep:
            shutil.rmtree(folder, ignore_errors=True)
            total -= sizes[folder]


def _cache_home(environment: Mapping[str, str]) -> Path:
    return Path(environment.get("XDG_CACHE_HOME") or Path.home() / ".cache")


def _ours(folder: Path) -> bool:
    """Whether nobody else can put files there: they are loaded as they are."""
    if not hasattr(os, "getuid"):
        return True  # Windows: the folder is in the user's own
    found = folder.stat()
    return found.st_uid == os.getuid() and not found.st_mode & 0o022


def _size(folder: Path) -> int:
    total = 0
    for file in folder.iterdir():
        with suppress(OSError):
            total += file.stat().st_size
    return total
