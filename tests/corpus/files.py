"""Valid files of every kind that is read, made on the spot, small and seeded."""

from __future__ import annotations

import io
import struct
import zlib
from dataclasses import dataclass
from functools import cache
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from tests.corpus import png_writer as png
from tests.corpus import tiff_writer as tiff
from tests.corpus.bmp_writer import write_bmp
from tests.corpus.png_writer import chunk, write_png
from tests.corpus.scenes import HEIGHT, encode, exif, npy, scene
from tests.corpus.tiff_writer import Tiff


@dataclass(frozen=True)
class File:
    """A valid file.

    Attributes:
        name: with the right suffix.
        as_cv2: whether cv2 decodes it to the same samples.
        samples: what it holds, where the format keeps it exactly: (H, W) or (H, W, C), RGB.
        warns: a part of a warning that reading it must give.
    """

    name: str
    data: bytes
    as_cv2: bool = True
    samples: NDArray[Any] | None = None
    warns: str = ""


def _png_files() -> list[File]:
    files = []
    every = [0, 1, 2, 3, 4]
    for colour, depth, name in [
        (png.GREY, 8, "grey"),
        (png.GREY, 16, "grey16"),
        (png.RGB, 8, "rgb"),
        (png.RGB, 16, "rgb16"),
        (png.RGBA, 8, "rgba"),
        (png.RGBA, 16, "rgba16"),
    ]:
        image = scene(png.SAMPLES[colour], f"u{depth // 8}")
        squeezed = image[:, :, 0] if image.shape[2] == 1 else image
        for interlaced in (False, True):
            data = write_png(image, depth, colour, filters=every, interlaced=interlaced)
            end = "-interlaced" if interlaced else ""
            files.append(File(f"{name}{end}.png", data, samples=squeezed))
    for filter_ in range(5):
        data = write_png(scene(3), 8, png.RGB, filters=[filter_], chunk_size=700)
        files.append(File(f"filter{filter_}.png", data, samples=scene(3)))
    for depth in (1, 2, 4):
        top = (1 << depth) - 1
        values = (scene(1) >> (8 - depth))[:, :, 0]
        for interlaced in (False, True):
            end = f"{depth}{'-interlaced' if interlaced else ''}.png"
            data = write_png(values, depth, png.GREY, filters=every, interlaced=interlaced)
            files.append(File(f"grey{end}", data, samples=values * np.uint8(255 // top)))
            colours = np.random.default_rng(depth).integers(0, 256, (top + 1, 3), dtype=np.uint8)
            palette = chunk(b"PLTE", colours.tobytes())
            data = write_png(values, depth, png.PALETTE, before=palette, interlaced=interlaced)
            files.append(File(f"palette{end}", data, samples=colours[values]))
    colours = np.random.default_rng(8).integers(0, 256, (256, 4), dtype=np.uint8)
    colours[100:, 3] = 255
    palette = chunk(b"PLTE", colours[:, :3].tobytes())
    alpha = chunk(b"tRNS", colours[:100, 3].tobytes())
    indices = scene(1)[:, :, 0]
    data = write_png(indices, 8, png.PALETTE, before=palette)
    files.append(File("palette8.png", data, samples=colours[indices][:, :, :3]))
    data = write_png(indices, 8, png.PALETTE, before=palette + alpha)
    files.append(File("palette8-alpha.png", data, samples=colours[indices]))
    for depth in (8, 16):
        pair = scene(2, f"u{depth // 8}")
        data = write_png(pair, depth, png.GREY_ALPHA, filters=every)
        spread = pair[:, :, (0, 0, 0, 1)]
        files.append(File(f"grey-alpha{depth}.png", data, samples=spread))
        image = scene(3, f"u{depth // 8}")
        key = chunk(b"tRNS", image[5, 5].astype(">u2").tobytes())
        data = write_png(image, depth, png.RGB, before=key)
        alpha_plane = np.where((image == image[5, 5]).all(2), 0, np.iinfo(image.dtype).max)
        keyed = np.dstack([image, alpha_plane.astype(image.dtype)])
        files.append(File(f"rgb-key{depth}.png", data, samples=keyed))
    turned = write_png(scene(3), 8, png.RGB, before=chunk(b"eXIf", exif(6)))
    files.append(File("turned.png", turned, samples=scene(3), warns="orientation 6"))
    upright = write_png(scene(3), 8, png.RGB, before=chunk(b"eXIf", exif(1)))
    files.append(File("upright.png", upright, samples=scene(3)))
    gamma = chunk(b"gAMA", struct.pack(">I", 100000))
    files.append(File("gamma.png", write_png(scene(3), 8, png.RGB, before=gamma), samples=scene(3)))
    return files


def _with_exif(jpeg: bytes, orientation: int) -> bytes:
    body = b"Exif\0\0" + exif(orientation)
    return jpeg[:2] + b"\xff\xe1" + struct.pack(">H", len(body) + 2) + body + jpeg[2:]


def _jpeg_files() -> list[File]:
    files = []
    factor, quality = cv2.IMWRITE_JPEG_SAMPLING_FACTOR, cv2.IMWRITE_JPEG_QUALITY
    progressive, restart = cv2.IMWRITE_JPEG_PROGRESSIVE, cv2.IMWRITE_JPEG_RST_INTERVAL
    for name, value in {
        "444": 0x111111,
        "422": 0x211111,
        "420": 0x221111,
        "440": 0x121111,
        "411": 0x411111,
    }.items():
        for steps in (0, 1):
            data = encode(".jpg", scene(3), factor, value, quality, 90, progressive, steps)
            files.append(File(f"{name}{'-progressive' if steps else ''}.jpg", data))
    files.append(File("grey.jpg", encode(".jpg", scene(1)[:, :, 0], quality, 60)))
    files.append(File("restarts.jpg", encode(".jpg", scene(3), restart, 2)))
    plain = encode(".jpg", scene(3))
    files.append(File("turned.jpg", _with_exif(plain, 6), warns="orientation 6"))
    files.append(File("upright.jpg", _with_exif(plain, 1)))
    files.append(File("trailing.jpg", plain + b"anything" * 9))
    return files


def _tiff_files() -> list[File]:
    files = []

    def add(
        name: str, page: Tiff, image: NDArray[Any], samples: NDArray[Any] | None = None, **more: Any
    ) -> None:
        squeezed = image[:, :, 0] if image.ndim == 3 and image.shape[2] == 1 else image
        expected = squeezed if samples is None else samples
        files.append(File(f"{name}.tif", page.write(image), samples=expected, **more))

    codecs = {
        "raw": tiff.NONE,
        "lzw": tiff.LZW,
        "deflate": tiff.DEFLATE,
        "old-deflate": tiff.OLD_DEFLATE,
        "packbits": tiff.PACKBITS,
    }
    for name, codec in codecs.items():
        add(f"{name}-rgb", Tiff(tiff.RGB, codec, rows_per_strip=10), scene(3))
        add(f"{name}-grey", Tiff(compression=codec), scene(1))
        add(f"{name}-tiles", Tiff(tiff.RGB, codec, tile=(32, 32)), scene(3))
        add(f"{name}-planes", Tiff(tiff.RGB, codec, planar=2, rows_per_strip=10), scene(3))
        for order in "<>":
            end = "little" if order == "<" else "big"
            page = Tiff(tiff.RGB, codec, order=order, predictor=1 + (codec in (5, 8)))  # type: ignore[arg-type]
            add(f"{name}-16-{end}", page, scene(3, "u2"))
    for predicted in (tiff.LZW, tiff.DEFLATE):
        for channels in (1, 3):
            photometric = tiff.RGB if channels == 3 else tiff.BLACK_IS_ZERO
            page = Tiff(photometric, predicted, predictor=2, rows_per_strip=8)
            add(f"predicted{predicted}-{channels}", page, scene(channels))
        page = Tiff(tiff.BLACK_IS_ZERO, predicted, predictor=3)
        add(f"predicted{predicted}-float", page, scene(1, "f4"))
        page = Tiff(tiff.RGB, predicted, predictor=3, order=">")
        add(f"predicted{predicted}-float-rgb", page, scene(3, "f4"))
    add("tiled-planes", Tiff(tiff.RGB, tiff.DEFLATE, tile=(16, 16), planar=2), scene(3))
    page = Tiff(tiff.RGB, tiff.DEFLATE, rows_per_strip=6, pixels_last=True)
    add("pixels-last", page, scene(3))
    add("pixels-last-raw", Tiff(tiff.RGB, pixels_last=True), scene(3))
    page = Tiff(tiff.RGB, tiff.LZW, rows_per_strip=6, pixels_last=True)
    add("pixels-last-lzw", page, scene(3))
    add("bigtiff", Tiff(tiff.RGB, tiff.LZW, big=True), scene(3))
    add("bigtiff-big", Tiff(tiff.RGB, big=True, order=">"), scene(3, "u2"))
    add("pages", Tiff(tiff.RGB, pages=3), scene(3), warns="more than one page")
    stack = (7, b"ImageJ=1.53t\nimages=9\nslices=9\n\0")
    add("imagej", Tiff(extra={270: stack}), scene(1, "u2"), warns="more than one page")
    add("white-is-zero", Tiff(tiff.WHITE_IS_ZERO), scene(1), 255 - scene(1)[:, :, 0])
    for bits in (1, 2, 4):
        top = (1 << bits) - 1
        values = (scene(1) >> (8 - bits))[:, :, 0]
        # cv2 reads 1 bit only.
        spread = values * np.uint8(255 // top)
        add(f"{bits}-bit", Tiff(bits=bits), values, spread, as_cv2=bits == 1)
    rng = np.random.default_rng(3)
    for bits in (4, 8):
        colours = rng.integers(0, 65536, (3, 1 << bits), dtype=np.uint16)
        values = (scene(1) >> (8 - bits))[:, :, 0]
        table = (3, tuple(int(v) for v in colours.ravel()))
        page = Tiff(tiff.PALETTE, bits=bits, extra={320: table})
        add(f"palette{bits}", page, values, (colours.T[values] >> 8).astype(np.uint8))
    for dtype in ("i1", "i2", "i4", "u4", "f4", "f8"):
        add(f"type-{dtype}", Tiff(), scene(1, dtype))
    add("type-f2", Tiff(), scene(1, "f2"), as_cv2=False)
    add("rgba16", Tiff(tiff.RGB, extra={338: (3, (2,))}), scene(4, "u2"))
    add("rgba-premultiplied", Tiff(tiff.RGB, extra={338: (3, (1,))}), scene(4))
    add("rgba", Tiff(tiff.RGB, extra={338: (3, (2,))}), scene(4), as_cv2=False)
    add("turned", Tiff(extra={274: (3, (6,))}), scene(1), as_cv2=False, warns="orientation 6")
    left_out = "not colours"
    page = Tiff(tiff.RGB, extra={338: (3, (0,))})
    add("rgb-and-more", page, scene(4), scene(4)[:, :, :3], as_cv2=False, warns=left_out)
    add("five-channels", Tiff(), scene(5), scene(5)[:, :, 0], as_cv2=False, warns=left_out)
    ink = scene(4).astype(int)
    rgb = (255 - ink[:, :, 3:]) * (255 - ink[:, :, :3]) // 255
    add("cmyk", Tiff(tiff.CMYK), scene(4), rgb.astype(np.uint8), as_cv2=False, warns="CMYK")
    inverted = 65535 - scene(1, "u2")[:, :, 0]
    add("white-is-zero16", Tiff(tiff.WHITE_IS_ZERO), scene(1, "u2"), inverted, as_cv2=False)
    for name, image in {"jpeg": scene(3), "jpeg-grey": scene(1)[:, :, 0]}.items():
        data = encode(".tif", image, cv2.IMWRITE_TIFF_COMPRESSION, 7)
        files.append(File(f"{name}.tif", data))
    for bits in (10, 12, 14):
        values = scene(1, "u2") >> (16 - bits)
        page = Tiff(bits=bits)
        add(f"{bits}-bit", page, values, values[:, :, 0], as_cv2=False)
    return files


def _bmp_files() -> list[File]:
    rgb = scene(3)
    bgr = np.ascontiguousarray(rgb[:, :, ::-1]).reshape(HEIGHT, -1)
    bgrx = np.dstack([rgb[:, :, ::-1], scene(1, seed=5)]).reshape(HEIGHT, -1)
    grey = scene(1)[:, :, 0]
    ramp = b"".join(bytes([i, i, i, 0]) for i in range(256))
    colours = np.random.default_rng(4).integers(0, 256, (256, 4), dtype=np.uint8)
    masks = (0xFF0000, 0xFF00, 0xFF, 0xFF000000)
    files = [
        File("24.bmp", write_bmp(bgr, 24), samples=rgb),
        File("24-top-down.bmp", write_bmp(bgr, 24, top_down=True), samples=rgb),
        File("32.bmp", write_bmp(bgrx, 32), samples=rgb),
        File("32-masks.bmp", write_bmp(bgrx, 32, masks=masks[:3])),
        File("32-alpha.bmp", write_bmp(bgrx, 32, masks=masks, header_size=108)),
        File("8-grey.bmp", write_bmp(grey, 8, palette=ramp), samples=grey),
        File(
            "8.bmp",
            write_bmp(grey, 8, palette=colours.tobytes()),
            samples=colours[grey][:, :, 2::-1],
        ),
        File("4.bmp", write_bmp(grey[:, :23], 4, width=45, palette=colours[:16].tobytes())),
        File("1.bmp", write_bmp(grey[:, :6], 1, width=45, palette=colours[:2].tobytes())),
        File("16.bmp", write_bmp(bgr[:, :90], 16)),
        File("565.bmp", write_bmp(bgr[:, :90], 16, masks=(0xF800, 0x7E0, 0x1F))),
    ]
    return files


def _webp_files() -> list[File]:
    quality = cv2.IMWRITE_WEBP_QUALITY
    return [
        File("lossy.webp", encode(".webp", scene(3), quality, 80)),
        File("lossless.webp", encode(".webp", scene(3), quality, 101), samples=scene(3)),
        File("lossy-alpha.webp", _encode_rgba_webp(80)),
        File("lossless-alpha.webp", _encode_rgba_webp(101)),
    ]


def _encode_rgba_webp(quality: int) -> bytes:
    bgra = np.ascontiguousarray(scene(4)[:, :, (2, 1, 0, 3)])
    done, data = cv2.imencode(".webp", bgra, (cv2.IMWRITE_WEBP_QUALITY, quality))
    assert done
    return data.tobytes()


def _npy_files() -> list[File]:
    files = []
    for dtype in ("u1", "u2", ">u2", "i4", "f2", "f4", ">f8"):
        image = scene(3, dtype)
        files.append(File(f"{dtype.strip('>')}{'-big' * (dtype[0] == '>')}.npy", npy(image)))
    files = [File(f.name, f.data, False, np.load(io.BytesIO(f.data))) for f in files]
    grey = scene(1)[:, :, 0]
    files.append(File("grey.npy", npy(grey), False, grey))
    files.append(File("bool.npy", npy(grey > 99), False, grey > 99))
    files.append(File("fortran.npy", npy(np.asfortranarray(grey)), False, grey))
    files.append(File("one.npy", npy(grey[:, :, None]), False, grey[:, :, None]))
    files.append(File("rgba.npy", npy(scene(4)), False, scene(4)))
    first = npy(scene(3).transpose(2, 0, 1))
    files.append(File("first.npy", first, False, scene(3), "channels first"))
    return files


@cache
def valid_files() -> tuple[File, ...]:
    """All of them. Names are unique."""
    makers = (_png_files, _jpeg_files, _tiff_files, _bmp_files, _webp_files, _npy_files)
    files = tuple(file for make in makers for file in make())
    assert len({file.name for file in files}) == len(files)
    return files


def bomb_png(width: int, height: int) -> bytes:
    """A PNG of a few bytes that claims to be so large."""
    head = b"\x89PNG\r\n\x1a\n" + png.header_chunk(width, height, 8, png.RGB)
    return head + chunk(b"IDAT", zlib.compress(b"\0" * 1000)) + chunk(b"IEND", b"")
