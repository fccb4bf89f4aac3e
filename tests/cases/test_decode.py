"""Every kind of file, whole, cut short and with flipped bits."""

from __future__ import annotations

import io
from collections.abc import Iterable
from pathlib import Path

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from forgecli.cases.decode import decode_native, read_picture
from forgecli.cases.failures import TooLarge, Unreadable
from forgecli.cases.header import Header, parse_header, read_size
from forgecli.detection import Case
from tests.corpus.files import File, bomb_png, valid_files
from tests.corpus.png_writer import RGB, write_png
from tests.corpus.scenes import HEIGHT, WIDTH, scene

FILES = valid_files()


def for_each(files: Iterable[File]) -> pytest.MarkDecorator:
    files = list(files)
    return pytest.mark.parametrize("file", files, ids=[file.name for file in files])


every_file = for_each(FILES)


def header_of(file: File, data: bytes | None = None) -> Header:
    return parse_header(io.BytesIO(file.data if data is None else data), Path(file.name))


def read(tmp_path: Path, name: str, data: bytes, **limits: int) -> tuple[np.ndarray, list[str]]:
    path = tmp_path / name
    path.write_bytes(data)
    picture, warnings = read_picture(Case("x", path), **limits)
    assert picture.case_id == "x"
    return picture.pixels, warnings


@every_file
def test_header_tells_what_is_decoded(file: File) -> None:
    header = header_of(file)
    samples = decode_native(file.data, header)
    assert (header.height, header.width) == samples.shape[:2] == (HEIGHT, WIDTH)
    assert header.channels == (samples.shape[2] if samples.ndim == 3 else 1)
    assert header.bits == samples.dtype.itemsize * 8
    assert header.decoded_bytes == samples.nbytes


@for_each(file for file in FILES if file.samples is not None)
def test_samples_are_exact(file: File) -> None:
    samples = decode_native(file.data, header_of(file))
    assert file.samples is not None
    assert samples.dtype == file.samples.dtype.newbyteorder("=")
    np.testing.assert_array_equal(samples, file.samples)


@for_each(file for file in FILES if file.as_cv2)
def test_samples_are_those_of_cv2(file: File) -> None:
    expected = cv2.imdecode(np.frombuffer(file.data, np.uint8), cv2.IMREAD_UNCHANGED)
    samples = decode_native(file.data, header_of(file))
    assert samples.dtype == expected.dtype
    if expected.ndim == 3:
        expected = expected[:, :, (2, 1, 0, 3)[: expected.shape[2]]]
    np.testing.assert_array_equal(samples, expected)


@every_file
def test_pictures_are_8_bit_rgb(file: File, tmp_path: Path) -> None:
    pixels, warnings = read(tmp_path, file.name, file.data)
    assert pixels.dtype == np.uint8
    assert pixels.shape == (HEIGHT, WIDTH, 3)
    assert pixels.flags.c_contiguous
    assert pixels.flags.writeable
    if file.warns:
        assert any(file.warns in text for text in warnings)
    else:
        assert not warnings


@every_file
def test_cut_files_are_unreadable_or_whole(file: File) -> None:
    """Never a picture whose end is made up."""
    whole = decode_native(file.data, header_of(file))
    size = len(file.data)
    cuts = {1, 2, 7, 17, 30, 60, size // 4, size // 2, size - size // 4, size - 200, size - 60}
    cuts |= {size - 20, size - 12, size - 8, size - 4, size - 2, size - 1}
    complete = 0
    for cut in sorted(cut for cut in cuts if 0 < cut < size):
        data = file.data[:cut]
        try:
            samples = decode_native(data, header_of(file, data))
        except Unreadable as failure:
            assert failure.what
            continue
        np.testing.assert_array_equal(samples, whole, err_msg=f"cut at {cut} of {size}")
        complete += 1
    assert complete < 12, "most cuts must be noticed"


@settings(max_examples=400, deadline=None)
@given(data=st.data())
def test_flipped_bits_are_unreadable_or_a_picture(data: st.DataObject) -> None:
    file = data.draw(st.sampled_from(FILES))
    damaged = bytearray(file.data)
    for _ in range(data.draw(st.integers(1, 6))):
        # Headers are short, and the more interesting.
        head = data.draw(st.booleans())
        at = data.draw(st.integers(0, min(200, len(damaged) - 1) if head else len(damaged) - 1))
        damaged[at] ^= 1 << data.draw(st.integers(0, 7))
    try:
        header = header_of(file, bytes(damaged))
        if header.decoded_bytes > 1 << 24:
            return  # too large for this machine's patience; the limits are tested elsewhere
        samples = decode_native(bytes(damaged), header)
    except Unreadable as failure:
        assert failure.what
    else:
        assert samples.shape[:2] == (header.height, header.width)


def test_flipped_bits_in_a_png_are_noticed() -> None:
    """Everything that the pixels depend on is under a checksum."""
    data = write_png(scene(3), 8, RGB, filters=[4, 1, 3], chunk_size=500)
    header = parse_header(io.BytesIO(data), Path("x.png"))
    whole = decode_native(data, header)
    rng = np.random.default_rng(1)
    for at in rng.integers(0, len(data), 150):
        damaged = bytearray(data)
        damaged[at] ^= 1 << int(rng.integers(8))
        try:
            again = parse_header(io.BytesIO(bytes(damaged)), Path("x.png"))
            samples = decode_native(bytes(damaged), again)
        except Unreadable:
            continue
        np.testing.assert_array_equal(samples, whole)


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"", "empty"),
        (b"\0" * 100, "known format"),
        (b"GIF89a" + b"\0" * 100, "known format"),
        (b"%PDF-1.7 and so on", "known format"),
        (b"\x80\x04\x95\x10\0\0\0", "known format"),
        (b"\x89PNG\r\n\x1a\n", "ends inside"),
    ],
)
def test_what_is_no_picture_is_unreadable(data: bytes, reason: str, tmp_path: Path) -> None:
    with pytest.raises(Unreadable, match=reason) as caught:
        read(tmp_path, "x.png", data)
    assert caught.value.file == tmp_path / "x.png"


def test_content_counts_not_the_suffix(tmp_path: Path) -> None:
    data = write_png(scene(3), 8, RGB)
    pixels, warnings = read(tmp_path, "picture.JPG", data)
    np.testing.assert_array_equal(pixels, scene(3))
    assert warnings == ["The file is called .JPG but its content is PNG."]
    _, warnings = read(tmp_path, "picture", data)
    assert warnings == ["The file is called without a suffix but its content is PNG."]


def test_a_bomb_is_refused_by_its_header(tmp_path: Path) -> None:
    with pytest.raises(TooLarge, match="10,000,000,000 pixels") as caught:
        read(tmp_path, "bomb.png", bomb_png(100_000, 100_000))
    assert "--max-pixels" in caught.value.mend


def test_a_small_bomb_is_refused_by_its_ratio(tmp_path: Path) -> None:
    """Within the limits, but the compressed data cannot hold that many pixels."""
    with pytest.raises(Unreadable, match="fewer pixels"):
        read(tmp_path, "bomb.png", bomb_png(10_000, 10_000))


def test_limits(tmp_path: Path) -> None:
    data = write_png(scene(3), 8, RGB)
    read(tmp_path, "x.png", data, max_pixels=HEIGHT * WIDTH)
    with pytest.raises(TooLarge):
        read(tmp_path, "x.png", data, max_pixels=HEIGHT * WIDTH - 1)
    with pytest.raises(TooLarge, match="decoded"):
        read(tmp_path, "x.png", data, max_bytes=HEIGHT * WIDTH * 3 - 1)
    with pytest.raises(TooLarge, match="file has"):
        read(tmp_path, "x.png", data, max_bytes=len(data) - 1)


def test_not_a_file(tmp_path: Path) -> None:
    folder = tmp_path / "folder.png"
    folder.mkdir()
    link = tmp_path / "link.png"
    link.symlink_to("nowhere.png")
    for path, reason in {
        folder: "not a regular file",
        tmp_path / "none.png": "does not exist",
        link: "link to something",
        tmp_path / ("x" * 300): "cannot be opened",
    }.items():
        with pytest.raises(Unreadable, match=reason):
            read_picture(Case("x", path))
        with pytest.raises(Unreadable, match=reason):
            read_size(path)
