"""Connected components on a GPU against what people use.

    python -m bench.components_cuda [--rounds N] [--json FILE]

Ours gives areas and runs, the peers labels, and areas where it says so. Ours starts from the bit
words that the kernel before it writes instead of a mask, the peers from a mask of a byte per pixel;
all lies on the GPU, and nothing is downloaded except what a peer reads back itself.

Two times of each: what passes on the GPU's stream, by CUDA events, and how long a call holds the
host. Where the second is as long as the first, the call waits for the GPU, so that no other stream
is served meanwhile. Every ratio is the median, over interleaved rounds, of a contender's time over
ours in the same round, with its quartiles. Prints nothing but an error if areas differ. On a
machine without a GPU it says so, and exits with 2.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from bench.machine import Timing, arguments, ratio, table, write_results
from bench.masks import MASKS, SIDES, mask
from kernels.components import components
from kernels.cuda.batch import table_of, words_per_column
from kernels.cuda.components import ComponentFinder, split, words_of
from kernels.cuda.device import Device, Stream
from kernels.grouped import group

Mask = NDArray[np.uint8]
Connectivity = Literal[4, 8]
CONNECTIVITIES: tuple[Connectivity, ...] = (4, 8)
OURS = "areas and runs, forge"
LABELS = "labels only, "
LEAST = 0.02  # seconds that a turn takes at least, by repetition


class Ours:
    """Our kernels on some pictures of one mask, ready to be called."""

    def __init__(
        self,
        device: Device,
        stream: Stream,
        pixels: Mask,
        connectivity: Connectivity,
        pictures: int = 1,
    ) -> None:
        self._device, self._stream = device, stream
        height, width = pixels.shape
        self._table = table_of([pixels.shape] * pictures, [(1, 1)] * pictures)
        words = np.zeros(words_of(self._table), np.uint32)
        padded = np.zeros((width, 32 * words_per_column(height)), np.bool_)
        padded[:, :height] = pixels.T
        one = np.packbits(padded, axis=1, bitorder="little").view("<u4").ravel()
        for start in self._table["word_offset"].tolist():
            words[start : start + one.size] = one
        # A start below a pixel that is not set.
        self.pieces = int(np.count_nonzero(pixels[1:] > pixels[:-1]) + np.count_nonzero(pixels[0]))
        self._finder = ComponentFinder(
            device,
            images=pictures,
            words=words.size,
            most=max(self.pieces, 1),
            connectivity=connectivity,
        )
        self._words, self._rows = device.allocate(words.nbytes), device.allocate(self._table.nbytes)
        device.upload(words, self._words, stream)
        device.upload(self._table, self._rows, stream)
        device.event(stream).wait()

    def __call__(self) -> None:
        self._finder.enqueue(self._stream, self._words, self._table, self._rows)

    def check(self, pixels: Mask, connectivity: Connectivity) -> None:
        """Refuse unless the last call found what the CPU finds."""
        pictures = len(self._table)
        found = np.empty((pictures, 2), np.uint32)
        copied = np.empty((pictures * max(self.pieces, 1), 3), np.int32)
        self._device.download(self._finder.found, found, self._stream)
        self._device.download(self._finder.copied, copied, self._stream)
        self._device.event(self._stream).wait()
        expected = components(pixels, connectivity)
        for own, (total, _) in zip(split(found, copied), found, strict=True):
            ours = group(own, len(pixels), int(total))
            if not (
                np.array_equal(ours.areas, expected.areas)
                and np.array_equal(ours.runs, expected.runs)
                and np.array_equal(ours.offsets, expected.offsets)
            ):
                raise SystemExit("ours disagrees with the CPU")


def peers(cupy: Any, pixels: Mask, connectivity: Connectivity) -> dict[str, Callable[[], Any]]:
    """What people use, by name. Those whose name begins with `LABELS` give labels, others areas."""
    from cupyx.scipy import ndimage

    on_gpu = cupy.asarray(pixels)
    cupy.cuda.get_current_stream().synchronize()
    structure = ndimage.generate_binary_structure(2, 1 if connectivity == 4 else 2)

    def by_cupyx() -> Any:
        return ndimage.label(on_gpu, structure)[0]

    def areas(label: Callable[[], Any]) -> Callable[[], Any]:
        return lambda: cupy.bincount(label().ravel())[1:]

    found = {LABELS + "cupyx": by_cupyx, "areas, cupyx and bincount": areas(by_cupyx)}
    try:
        from cucim.skimage import measure as cucim
    except ImportError:
        return found

    def by_cucim() -> Any:
        return cucim.label(on_gpu, connectivity=1 if connectivity == 4 else 2)

    return {**found, LABELS + "cuCIM": by_cucim, "areas, cuCIM and bincount": areas(by_cucim)}


def timed(cupy: Any, contenders: dict[str, Callable[[], Any]], rounds: int) -> dict[str, Timing]:
    """Seconds per call on the current stream (`Timing.wall`) and of the host (`Timing.cpu`)."""
    stream = cupy.cuda.get_current_stream()
    begin, end = cupy.cuda.Event(), cupy.cuda.Event()

    def turn(work: Callable[[], Any], calls: int) -> tuple[float, float]:
        stream.synchronize()
        started = time.perf_counter()
        begin.record(stream)
        for _ in range(calls):
            work()
        end.record(stream)
        held = time.perf_counter() - started
        end.synchronize()
        return cupy.cuda.get_elapsed_time(begin, end) / 1e3 / calls, held / calls

    names = list(contenders)
    calls = {}
    for name in names:
        turn(contenders[name], 3)  # compiles, fills pools
        calls[name] = max(1, round(LEAST / turn(contenders[name], 3)[0]))
    taken: dict[str, list[tuple[float, float]]] = {name: [] for name in names}
    for number in range(rounds):
        shift = number % len(names)
        for name in names[shift:] + names[:shift]:
            taken[name].append(turn(contenders[name], calls[name]))
    return {
        name: Timing(tuple(gpu for gpu, _ in times), tuple(host for _, host in times))
        for name, times in taken.items()
    }


def measure(device: Device, rounds: int = 9) -> dict[str, Any]:
    """All records of `measured`, and what they were made on."""
    return {"device": device.name, "cucim": _cucim(), "records": list(measured(device, rounds))}


def _say(peer: str, reason: str) -> None:
    print(f"{peer}: {reason}", file=sys.stderr)


def measured(
    device: Device, rounds: int = 9, lacks: Callable[[str, str], None] = _say
) -> Iterator[dict[str, Any]]:
    """One record per mask, connectivity and contender, each when it is there.

    Args:
        device: a `kernels.cuda.cupy_device.CupyDevice`, number 0.
        lacks: told of a peer that could not run, and why. It costs no other.

    Raises:
        SystemExit: a result differs.
    """
    import cupy

    if _cucim() is None:
        lacks("cuCIM", "it is not installed")
    stream: Any = device.stream()
    for side in SIDES:
        for name in MASKS:
            pixels = mask(name, side)
            for connectivity in CONNECTIVITIES:
                with stream.stream:
                    found = _records(
                        cupy, device, stream, name, pixels, connectivity, rounds, lacks
                    )
                yield from found


def _cucim() -> str | None:
    """The version of cuCIM, if it is installed."""
    try:
        import cucim
    except ImportError:
        return None
    return str(cucim.__version__)


def _records(
    cupy: Any,
    device: Device,
    stream: Stream,
    name: str,
    pixels: Mask,
    connectivity: Connectivity,
    rounds: int,
    lacks: Callable[[str, str], None],
) -> list[dict[str, Any]]:
    ours, eight = (Ours(device, stream, pixels, connectivity, count) for count in (1, 8))
    others = peers(cupy, pixels, connectivity)
    expected = np.sort(components(pixels, connectivity).areas)
    for batch in (ours, eight):
        batch()
        batch.check(pixels, connectivity)
    for peer, work in list(others.items()):
        try:
            found = work()
        except Exception as error:  # noqa: BLE001 - such as no headers to compile it with
            lacks(peer, str(error))
            del others[peer]
            continue
        if peer.startswith(LABELS):
            found = cupy.bincount(found.ravel())[1:]
        if not np.array_equal(np.sort(cupy.asnumpy(found)), expected):
            raise SystemExit(f"{peer} disagrees")
    contenders: dict[str, Callable[[], Any]] = {
        OURS: ours,
        **others,
        "areas and runs, forge, of 8 pictures": eight,
    }
    timings = timed(cupy, contenders, rounds)
    records = []
    for contender, timing in timings.items():
        over = ratio(timing, timings[OURS])
        records.append(
            {
                "side": len(pixels),
                "mask": name,
                "connectivity": connectivity,
                "components": len(expected),
                "pieces": ours.pieces,
                "contender": contender,
                "gpu_milliseconds": timing.milliseconds,
                "host_milliseconds": float(np.median(timing.cpu)) * 1e3,
                "times_ours": [over.low, over.middle, over.high],
                "shown": str(over),
            }
        )
    return records


def show(results: dict[str, Any]) -> str:
    """The records as tables."""
    parts, seen = [results["device"]], []
    for record in results["records"]:
        key = (record["side"], record["mask"], record["connectivity"])
        if key in seen:
            continue
        seen.append(key)
        rows = [
            [
                other["contender"],
                f"{other['gpu_milliseconds']:.3f}",
                f"{other['host_milliseconds']:.3f}",
                other["shown"],
            ]
            for other in results["records"]
            if (other["side"], other["mask"], other["connectivity"]) == key
        ]
        side, name, connectivity = key
        count = f"{record['components']} components, {record['pieces']} pieces"
        parts.append(f"{side} x {side}, {name}, {connectivity}-connected, {count}")
        parts.append(table(["", "ms on the GPU", "ms of the host", "times ours"], rows))
    return "\n\n".join(parts)


def main() -> None:
    """Measure, print, write."""
    parser = arguments(__doc__, "components_cuda")
    parser.add_argument("--rounds", type=int, default=9)
    options = parser.parse_args()
    try:
        from kernels.cuda.cupy_device import CupyDevice

        device = CupyDevice()
    except (ImportError, RuntimeError) as error:
        print(f"this bench needs an NVIDIA GPU and CuPy: {error}", file=sys.stderr)
        raise SystemExit(2) from None
    results = measure(device, options.rounds)  # type: ignore[arg-type]
    print(show(results))
    write_results(options.json, results)


if __name__ == "__main__":
    main()
