"""Decoding files that lie in memory, against what people use, one thread.

    python -m bench.decode [--side N] [--rounds N] [--json FILE]

Two drawn pictures, one textured like a micrograph and one flat like a figure, in every format, and
the real PNG files of the shared data where they are at hand. Every time is a median; every ratio is
the median, over interleaved rounds, of a contender's time over ours in the same round, with its
quartiles. Our time includes reading the header and all checks. Peers that are not installed are
left out; a peer that gives other samples stops the bench. The limit is libdeflate's inflation for
PNG and deflated TIFF, and a copy of the samples for what is stored raw.
"""

from __future__ import annotations

import importlib
import io
import os
import struct
from collections.abc import Callable
from functools import partial
from importlib.metadata import version
from pathlib import Path
from typing import Any

import cv2
import deflate
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from bench.machine import arguments, paired, ratio, table, write_results
from forgecli.cases.decode import decode_native
from forgecli.cases.formats.tiff_tags import read_directory
from forgecli.cases.header import parse_header

Samples = NDArray[Any]
_IMPORTS = {"pillow": "PIL"}
PACKAGES = ("deflate", "simplejpeg", "pillow", "pyspng", "imagecodecs", "pywuffs")


def micrograph(side: int) -> NDArray[np.uint8]:
    """Round cells on an uneven ground, with the noise of a camera: uint8 (side, side, 3)."""
    rng = np.random.default_rng(7)
    picture = np.empty((side, side, 3), np.float32)
    coarse = rng.normal(size=(8, 8, 3)).astype(np.float32)
    picture[:] = 150 + 20 * cv2.resize(coarse, (side, side), interpolation=cv2.INTER_CUBIC)
    for _ in range(side * side // 3000):
        at = [int(v) for v in rng.integers(0, side, 2)]
        colour = [float(v) for v in rng.uniform(40, 140, 3)]
        cv2.circle(picture, at, int(rng.integers(6, 24)), colour, -1, cv2.LINE_AA)
    noisy = cv2.GaussianBlur(picture, (0, 0), 1.2) + rng.normal(0, 3, picture.shape)
    return noisy.clip(0, 255).astype(np.uint8)


def figure(side: int) -> NDArray[np.uint8]:
    """Four panels, two of them textured, with white gutters and labels: uint8 (side, side, 3)."""
    picture = np.full((side, side, 3), 255, np.uint8)
    half = side // 2 - side // 32
    picture[:half, :half] = cv2.GaussianBlur(micrograph(half), (0, 0), 1)
    picture[-half:, -half:] = picture[:half, :half, ::-1] // 2
    for i in range(12):
        level = int(side // 3 * (1 + np.sin(i)) / 2)
        x = side // 2 + side // 32 + i * half // 12
        cv2.rectangle(picture, (x, half), (x + half // 18, half - level), (60, 90, 20 * i), -1)
    for i, letter in enumerate("ABCD"):
        place = (i % 2 * side // 2, i // 2 * side // 2 + side // 20)
        cv2.putText(picture, letter, place, cv2.FONT_HERSHEY_SIMPLEX, side / 700, (0, 0, 0), 2)
    return picture


def _pillow(picture: Samples, kind: str, **options: Any) -> bytes:
    file = io.BytesIO()
    Image.fromarray(picture).save(file, kind, **options)
    return file.getvalue()


def _cv2(suffix: str, picture: Samples) -> bytes:
    stored = picture[:, :, ::-1] if picture.ndim == 3 else picture
    return bytes(cv2.imencode(suffix, np.ascontiguousarray(stored))[1])


def files(picture: NDArray[np.uint8]) -> dict[str, bytes]:
    """The picture in every format; a name's first word is the format."""
    grey = cv2.cvtColor(picture, cv2.COLOR_RGB2GRAY)
    deep = (
        grey.astype(np.uint16) * 16 + np.arange(grey.size, dtype=np.uint16).reshape(grey.shape) % 16
    )
    rgba = np.dstack([picture, np.full(grey.shape, 255, np.uint8)])
    return {
        "PNG RGB": _pillow(picture, "png"),
        "PNG RGBA": _pillow(rgba, "png"),
        "PNG grey": _pillow(grey, "png"),
        "PNG grey 16": _pillow(deep, "png"),
        "PNG RGB 16": _cv2(".png", np.dstack([deep] * 3) + np.arange(3, dtype=np.uint16)),
        "JPEG 4:2:0 q90": _pillow(picture, "jpeg", quality=90),
        "JPEG 4:4:4 q90": _pillow(picture, "jpeg", quality=90, subsampling=0),
        "TIFF raw": _pillow(picture, "tiff"),
        "TIFF LZW": _pillow(picture, "tiff", compression="tiff_lzw"),
        "TIFF LZW predicted": _pillow(picture, "tiff", compression="tiff_lzw", tiffinfo={317: 2}),
        "TIFF deflate": _pillow(picture, "tiff", compression="tiff_adobe_deflate"),
        "BMP": _pillow(picture, "bmp"),
        "WebP q80": _pillow(picture, "webp", quality=80),
        "WebP lossless": _pillow(picture, "webp", lossless=True),
    }


def ours(data: bytes) -> Samples:
    """What `read_picture` does up to the native samples."""
    return decode_native(data, parse_header(io.BytesIO(data), Path("x")))


def with_cv2(data: bytes) -> Samples:
    """`cv2.imdecode`, samples as they are stored, BGR."""
    return np.asarray(cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_UNCHANGED))


def with_pillow(data: bytes) -> Samples:
    """`PIL.Image.open`, as an array."""
    return np.asarray(Image.open(io.BytesIO(data)))


def peers(name: str, data: bytes) -> dict[str, Callable[[], object]]:
    """Other decoders of this format, as far as they are installed."""
    found: dict[str, Callable[[], object]] = {"cv2": partial(with_cv2, data)}
    if name != "PNG RGB 16":  # Pillow gives 8 bits
        found["Pillow"] = partial(with_pillow, data)
    kind = name.split()[0]
    codecs = _module("imagecodecs")
    if codecs is not None:
        codec = {"JPEG": "jpeg8"}.get(kind, kind.lower())
        found["imagecodecs"] = partial(getattr(codecs, f"{codec}_decode"), data)
    if kind == "PNG" and "16" not in name and _module("pyspng") is not None:  # 8 bits as well
        found["pyspng"] = partial(_module("pyspng").load, data)
    if name in ("PNG RGB", "PNG grey") and _module("pywuffs") is not None:
        found["pywuffs"] = partial(with_wuffs, data, name == "PNG RGB")
    return found


def with_wuffs(data: bytes, colour: bool) -> Samples:
    """Wuffs, which has no RGB, so that BGR is asked for."""
    wuffs = _module("pywuffs")
    config = wuffs.aux.ImageDecoderConfig()
    config.enabled_decoders = [wuffs.ImageDecoderType.PNG]
    config.pixel_format = wuffs.PixelFormat.BGR if colour else wuffs.PixelFormat.Y
    return np.asarray(wuffs.aux.ImageDecoder(config).decode(data).pixbuf)


def _module(name: str) -> Any:
    try:
        return importlib.import_module(name)
    except ImportError:
        return None


def limit(name: str, data: bytes, samples: Samples) -> Callable[[], object] | None:
    """What no decoder of the format can do without, where that can be told."""
    if name.startswith("PNG"):
        parts, at = [], 8
        while at < len(data):
            (length,) = struct.unpack(">I", data[at : at + 4])
            if data[at + 4 : at + 8] == b"IDAT":
                parts.append(data[at + 8 : at + 8 + length])
            at += 12 + length
        stream, size = b"".join(parts), samples.nbytes + samples.shape[0]
        return lambda: deflate.zlib_decompress(stream, size)
    if name == "TIFF deflate":
        page = read_directory(io.BytesIO(data))
        strips = [
            data[o : o + n] for o, n in zip(page.numbers(273), page.numbers(279), strict=True)
        ]
        size = page.number(278, samples.shape[0]) * samples.strides[0]
        return lambda: [deflate.zlib_decompress(strip, size) for strip in strips]
    if name in ("TIFF raw", "BMP"):
        return lambda: samples.copy()
    return None


def check(name: str, samples: Samples, decoded: Samples) -> None:
    """Stop where a peer gives other samples, the order of the channels aside."""
    if name in ("cv2", "pywuffs") and decoded.ndim == 3 and decoded.shape[2] > 1:
        decoded = decoded[:, :, (2, 1, 0, 3)[: decoded.shape[2]]]
    if not np.array_equal(np.squeeze(decoded), samples):
        raise SystemExit(f"{name} disagrees")


def contenders(name: str, data: bytes) -> dict[str, Callable[[], object]]:
    """What to time for one file; the first is ours."""
    samples = ours(data)
    others = peers(name, data)
    for peer, decode in others.items():
        check(peer, samples, np.asarray(decode()))
    bound = limit(name, data, samples)
    found: dict[str, Callable[[], object]] = {"forge": partial(ours, data)} | others
    return found | ({"limit": bound} if bound else {})


def real_files() -> list[bytes]:
    """The PNG files of the shared data; empty where they are not at hand."""
    root = Path(os.environ.get("FORGE_SHARED", Path(__file__).parents[1] / "../shared"))
    return [path.read_bytes() for path in sorted(root.glob("data/**/*.png"))]


def over_all(decode: Callable[[bytes], object], every: list[bytes]) -> Callable[[], object]:
    """Decode one file after the other, keeping none."""

    def work() -> None:
        for data in every:
            decode(data)

    return work


def main() -> None:
    """Measure, print, write."""
    parser = arguments(__doc__, "decode")
    parser.add_argument("--side", type=int, default=1024)
    parser.add_argument("--rounds", type=int, default=9)
    options = parser.parse_args()
    cv2.setNumThreads(1)
    records = []
    for drawn in (micrograph, figure):
        picture = drawn(options.side)
        rows = []
        for name, data in files(picture).items():
            timings = paired(contenders(name, data), rounds=options.rounds)
            for contender, timing in timings.items():
                over = ratio(timing, timings["forge"])
                rows.append([f"{name}: {contender}", f"{timing.milliseconds:.2f}", str(over)])
                records.append(
                    {
                        "picture": drawn.__name__,
                        "format": name,
                        "bytes": len(data),
                        "contender": contender,
                        "milliseconds": timing.milliseconds,
                        "times_ours": [over.low, over.middle, over.high],
                    }
                )
        print(f"{drawn.__name__}, {options.side} x {options.side}\n")
        print(table(["", "ms", "times ours"], rows), end="\n\n")

    real = real_files()
    if real:
        decoders = {"forge": ours, "cv2": with_cv2, "Pillow": with_pillow}
        if _module("pyspng") is not None:
            decoders["pyspng"] = _module("pyspng").load
        work = {name: over_all(decode, real) for name, decode in decoders.items()}
        timings = paired(work, rounds=min(options.rounds, 5))
        rows = [
            [name, f"{timing.milliseconds / len(real):.2f}", str(ratio(timing, timings["forge"]))]
            for name, timing in timings.items()
        ]
        print(f"{len(real)} real PNG files\n")
        print(table(["", "ms a file", "times ours"], rows))
        records += [
            {
                "picture": f"{len(real)} real files",
                "format": "PNG",
                "bytes": sum(map(len, real)),
                "contender": name,
                "milliseconds": timing.milliseconds,
                "times_ours": [
                    getattr(ratio(timing, timings["forge"]), q) for q in ("low", "middle", "high")
                ],
            }
            for name, timing in timings.items()
        ]
    versions = {name: version(name) for name in PACKAGES if _module(_IMPORTS.get(name, name))}
    results = {"threads": 1, "decoders": versions, "rounds": options.rounds, "records": records}
    write_results(options.json, results)


if __name__ == "__main__":
    main()
