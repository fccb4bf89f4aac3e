"""Files are whole or not there."""

from __future__ import annotations

import errno
import os
import stat
from pathlib import Path

import numpy as np
import pytest

from forgecli.atomic import Draft, OutputError, atomic_writer, check_output, check_output_folder
from forgecli.errors import ExitCode, UsageError


def leftovers(folder: Path) -> list[str]:
    return [path.name for path in folder.iterdir() if path.name.startswith(".")]


def test_text_bytes_and_arrays(tmp_path: Path) -> None:
    with atomic_writer(tmp_path / "deep" / "a.txt", newline="") as file:
        file.write("ü\r\n\udcff")
    assert (tmp_path / "deep" / "a.txt").read_bytes() == "ü\r\n\\udcff".encode()
    array = np.arange(60_000, dtype=np.int64).reshape(3, 100, 200)
    with atomic_writer(tmp_path / "a.npy", "wb") as file:
        np.save(file, array)
    assert np.array_equal(np.load(tmp_path / "a.npy", allow_pickle=False), array)
    with atomic_writer(tmp_path / "b", "wb") as file:
        file.write(np.ones((300, 400), np.uint8).data)
    assert (tmp_path / "b").read_bytes() == b"\1" * 120_000


def test_target_is_untouched_until_the_end(tmp_path: Path) -> None:
    target = tmp_path / "a.txt"
    target.write_text("old")
    with atomic_writer(target) as file:
        file.write("new" * 100_000)
        file.flush()
        assert target.read_text() == "old"
    assert target.read_text() == "new" * 100_000


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt, SystemExit])
def test_an_exception_leaves_the_old_file(tmp_path: Path, error: type[BaseException]) -> None:
    target = tmp_path / "a.txt"
    target.write_text("old")
    with pytest.raises(error), atomic_writer(target) as file:
        file.write("x" * 200_000)
        raise error
    assert target.read_text() == "old" and leftovers(tmp_path) == []


def test_permissions_and_links_are_kept(tmp_path: Path) -> None:
    real, link = tmp_path / "real", tmp_path / "link"
    real.write_text("old")
    real.chmod(0o640)
    link.symlink_to(real)
    with atomic_writer(link) as file:
        file.write("new")
    assert link.is_symlink() and real.read_text() == "new"
    assert stat.S_IMODE(real.stat().st_mode) == 0o640
    umask = os.umask(0o027)
    try:
        with atomic_writer(tmp_path / "fresh"):
            pass
    finally:
        os.umask(umask)
    assert stat.S_IMODE((tmp_path / "fresh").stat().st_mode) == 0o640


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")
def test_devices_are_written_not_replaced() -> None:
    with atomic_writer("/dev/null") as file:
        file.write("x")
    assert stat.S_ISCHR(Path("/dev/null").stat().st_mode)
    with (
        pytest.raises(OutputError, match="disk is full") as raised,
        atomic_writer("/dev/full") as f,
    ):
        f.write("x")
    assert raised.value.full and raised.value.exit_code is ExitCode.FAILED


def test_longest_names_work(tmp_path: Path) -> None:
    name = "n" * 255
    with atomic_writer(tmp_path / name) as file:
        file.write("x")
    assert (tmp_path / name).read_text() == "x"
    with pytest.raises(OutputError, match="too long"), atomic_writer(tmp_path / (name + "n")):
        pass


def test_a_draft_ends_with_its_last_whole_write(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    draft = Draft(tmp_path / "a")
    draft.write(b"whole\n")
    real = os.write

    def fill(file: int, data: bytes) -> int:
        if len(data) < 6:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        return real(file, data[:5])

    monkeypatch.setattr(os, "write", fill)
    with pytest.raises(OutputError) as raised:
        draft.write(b"half a line\n")
    monkeypatch.undo()
    assert raised.value.full
    draft.commit()
    assert (tmp_path / "a").read_bytes() == b"whole\n"


def test_failing_to_sync_is_an_error_and_leaves_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(file: int) -> None:
        raise OSError(errno.EDQUOT, os.strerror(errno.EDQUOT))

    monkeypatch.setattr(os, "fsync", fail)
    with pytest.raises(OutputError, match="quota") as raised, atomic_writer(tmp_path / "a") as file:
        file.write("x")
    assert raised.value.full and list(tmp_path.iterdir()) == []


def test_whatever_a_folder_holds_does_not_make_it_a_file(tmp_path: Path) -> None:
    (tmp_path / ".forge-check").mkdir()
    check_output_folder(tmp_path, overwrite=True)
    with pytest.raises(UsageError, match="is not empty"):
        check_output_folder(tmp_path, overwrite=False)


def test_checks_leave_nothing_behind(tmp_path: Path) -> None:
    check_output(tmp_path / "x" / "a.csv", overwrite=False)
    assert list((tmp_path / "x").iterdir()) == []
    check_output_folder(tmp_path / "y" / "z", overwrite=False)
    (tmp_path / "file").write_text("x")
    with pytest.raises(OutputError, match="is a file, not a folder") as named:
        check_output_folder(tmp_path / "file", overwrite=True)
    assert named.value.file == tmp_path / "file", "and not a file in it that nobody asked for"
    assert list((tmp_path / "y" / "z").iterdir()) == []
    (tmp_path / "a").write_text("old")
    with pytest.raises(UsageError, match="exists already") as raised:
        check_output(tmp_path / "a", overwrite=False)
    assert raised.value.exit_code is ExitCode.USAGE
    check_output(tmp_path / "a", overwrite=True)
    assert (tmp_path / "a").read_text() == "old"


@pytest.mark.skipif(not Path("/dev/fd").exists(), reason="names of open files are a Unix thing")
def test_a_pipe_that_has_no_name_is_written_directly() -> None:
    """As /dev/stdout is one in `forge predict -o /dev/stdout | head`."""
    ours, theirs = os.pipe()
    try:
        name = Path(f"/dev/fd/{theirs}")
        check_output(name, overwrite=False)
        with atomic_writer(name) as file:
            file.write("a,b\n")
        assert os.read(ours, 100) == b"a,b\n"
    finally:
        os.close(ours)
        os.close(theirs)


def test_a_link_to_itself_is_no_output(tmp_path: Path) -> None:
    (tmp_path / "a.csv").symlink_to("a.csv")
    with pytest.raises(OutputError, match="symbolic links"):
        check_output(tmp_path / "a.csv", overwrite=True)
