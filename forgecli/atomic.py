"""Files that are either whole or not there: written beside their place, then moved into it."""

from __future__ import annotations

import errno
import io
import os
import secrets
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, Any, Literal

from forgecli.errors import ForgeError, UsageError

_BINARY = getattr(os, "O_BINARY", 0)  # Windows turns \n into \r\n without it
_FULL = {errno.ENOSPC, errno.EDQUOT}
_REASONS = {
    errno.ENOSPC: ("the disk is full.", "free some space, or write to another disk"),
    errno.EDQUOT: ("your disk quota is used up.", "free some space, or write to another disk"),
    errno.EROFS: ("the file system is read-only.", "write to another folder"),
    errno.EACCES: ("no permission to write here.", "write to another folder"),
    errno.EPERM: ("no permission to write here.", "write to another folder"),
    errno.EISDIR: ("is a folder, but a file is to be written here.", "name a file"),
    errno.ENOTDIR: ("part of this path is a file, not a folder.", "name another folder"),
    errno.EEXIST: ("part of this path is a file, not a folder.", "name another folder"),
    errno.ENAMETOOLONG: ("the name is too long for this file system.", "use a shorter name"),
}


class OutputError(ForgeError):
    """An output cannot be written.

    Attributes:
        full: whether the disk or a quota is full, so that other outputs will fail as well.
    """

    def __init__(self, error: OSError, path: Path | str) -> None:
        what, mend = _REASONS.get(
            error.errno or 0,
            (f"cannot be written: {error.strerror or error}.", "write to another folder"),
        )
        super().__init__(what, file=path, mend=mend)
        self.full = error.errno in _FULL


class Draft:
    """A file being written in the folder of its target, which it replaces on `commit`.

    The target is untouched until then. Bytes go straight to the system, so that after a failed
    `write` the draft can still be committed: it ends with the last whole `write`.

    A target that is not a regular file, such as ``/dev/null`` or a pipe, is written directly.

    Args:
        target: the file to make. Its folder is created. A symbolic link is followed.

    Attributes:
        direct: whether the target is not a regular file, so that nothing can be taken back.

    Raises:
        OutputError: the draft cannot be created. `write` and `commit` raise it as well.
    """

    def __init__(self, target: Path | str) -> None:
        self.target = Path(target)
        self._length = 0
        try:
            mode = _mode(self.target)
            if mode is not None and stat.S_ISDIR(mode):
                raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR))
            self.direct = mode is not None and not stat.S_ISREG(mode)
            if self.direct:  # by its name: what /dev/stdout leads to may be a pipe without one
                self._place = self._path = self.target
                self._file: int | None = os.open(self.target, os.O_WRONLY | _BINARY)
                return
            place = self.target.resolve()
            place.parent.mkdir(parents=True, exist_ok=True)
            # A short name of its own: the target's could be as long as the file system allows.
            self._place = place
            self._path = place.with_name(f".forge-{secrets.token_hex(8)}.part")
            flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | _BINARY
            self._file = os.open(self._path, flags, 0o666)
            if mode is not None:
                with suppress(OSError):  # not ours, or a file system without permissions
                    self._path.chmod(stat.S_IMODE(mode))
        except OSError as error:
            raise OutputError(error, self.target) from error

    def write(self, data: bytes | memoryview) -> None:
        """Append all of `data` or nothing that a later `commit` would keep."""
        if self._file is None:
            raise ValueError("the draft is closed")
        rest = memoryview(data).cast("B")
        size = len(rest)
        try:
            while rest:
                rest = rest[os.write(self._file, rest) :]
        except OSError as error:
            raise OutputError(error, self.target) from error
        self._length += size

    def commit(self) -> None:
        """Put the file in its place: on disk first, so that a power cut leaves old or new."""
        if self._file is None:
            raise ValueError("the draft is closed")
        try:
            if not self.direct:
                os.ftruncate(self._file, self._length)
                os.fsync(self._file)
            self._close()
            if not self.direct:
                self._path.replace(self._place)
                _sync_folder(self._place.parent)
        except OSError as error:
            self.discard()
            raise OutputError(error, self.target) from error

    def discard(self) -> None:
        """Forget what was written. Harmless after `commit`."""
        self._close()
        if not self.direct:
            with suppress(OSError):
                self._path.unlink(missing_ok=True)

    def _close(self) -> None:
        if self._file is not None:
            file, self._file = self._file, None
            os.close(file)


def _mode(path: Path) -> int | None:
    """Of what a path leads to; None where nothing is there yet."""
    try:
        return path.stat().st_mode
    except FileNotFoundError:
        return None


class _DraftStream(io.RawIOBase):
    """A draft as the io module knows files, to put buffers and text encoding on top of it."""

    def __init__(self, draft: Draft) -> None:
        self._draft = draft
        self.abandoned = False

    def writable(self) -> bool:
        return True

    def write(self, data: Any) -> int:
        if not self.abandoned:  # else the buffer above is being thrown away, and flushes
            self._draft.write(data)
        return memoryview(data).nbytes


@contextmanager
def atomic_writer(
    path: Path | str, mode: Literal["w", "wb"] = "w", *, newline: str | None = None
) -> Iterator[IO[Any]]:
    """Open a file for writing that takes its place only if the block ends without an exception.

    Args:
        path: the file to make. Its folder is created. An existing file is replaced as a whole.
        mode: ``"w"`` for text in UTF-8 (what has no UTF-8, as in the names of some files, is
            written with backslashes), ``"wb"`` for bytes.
        newline: as for `open`; pass ``""`` with the csv module.

    Raises:
        OutputError: it cannot be written: full disk, read-only folder, a folder of that name.
    """
    draft = Draft(path)
    stream = _DraftStream(draft)
    file: IO[Any] = io.BufferedWriter(stream, 1 << 16)
    if mode == "w":
        file = io.TextIOWrapper(file, encoding="utf-8", errors="backslashreplace", newline=newline)
    try:
        yield file
        file.flush()
        draft.commit()
    except BaseException:
        stream.abandoned = True
        draft.discard()
        raise
    finally:
        stream.abandoned = True
        file.close()


def check_output(path: Path, *, overwrite: bool) -> None:
    """Find out before the work starts whether a file can be written.

    Creates its folder and, for a moment, a file beside it.

    Raises:
        UsageError: the file exists and `overwrite` is false.
        OutputError: it could not be written.
    """
    if path.is_file() and not overwrite:
        raise UsageError(
            "exists already.", file=path, mend="name another output, or pass --overwrite"
        )
    draft = Draft(path)
    try:
        if not draft.direct:
            draft.write(b"\0" * 4096)  # more than an inode can hold: a full disk shows itself
    finally:
        draft.discard()


def check_output_folder(folder: Path, *, overwrite: bool) -> None:
    """Find out before the work starts whether files can be written into a folder. Creates it.

    Raises:
        UsageError: it holds files already and `overwrite` is false.
        OutputError: nothing could be written there.
    """
    try:
        # A name of its own: whatever is there of a fixed one would be what the message is about.
        check_output(folder / f".forge-{secrets.token_hex(8)}.check", overwrite=True)
    except OutputError as error:  # of a file that nobody asked for
        cause = error.__cause__
        raise OutputError(cause, folder) if isinstance(cause, OSError) else error from cause
    if not overwrite and any(folder.iterdir()):
        raise UsageError(
            "is not empty.", file=folder, mend="name another folder, or pass --overwrite"
        )


def _sync_folder(folder: Path) -> None:
    """Make the rename itself durable, where the system knows how."""
    with suppress(OSError):
        handle = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)
