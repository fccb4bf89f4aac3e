"""Connected components with areas against what people use, one thread.

    python -m bench.components [--rounds N] [--json FILE]

Ours, and only ours, also gives boxes and runs. Every time is a median; every ratio is the median,
over interleaved rounds, of a contender's time over ours in the same round, with its quartiles.
Prints nothing but an error if counts or areas differ.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Literal

import cc3d
import cv2
import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from bench.machine import arguments, paired, ratio, table, write_results
from bench.masks import MASKS, SIDES, mask
from kernels.components import components

Mask = NDArray[np.uint8]
Connectivity = Literal[4, 8]
CONNECTIVITIES: tuple[Connectivity, ...] = (4, 8)


def opencv(pixels: Mask, connectivity: Connectivity) -> NDArray[np.int64]:
    """Areas by OpenCV's own statistics."""
    _, _, statistics, _ = cv2.connectedComponentsWithStats(pixels, connectivity=connectivity)
    areas: NDArray[np.int64] = statistics[1:, cv2.CC_STAT_AREA].astype(np.int64)
    return areas


def cc3d_areas(pixels: Mask, connectivity: Connectivity) -> NDArray[np.int64]:
    """Labels by cc3d, areas by counting them, which is quicker than its own statistics."""
    labels = cc3d.connected_components(pixels, connectivity=connectivity)
    return np.bincount(labels.ravel())[1:]


def scipy_areas(pixels: Mask, connectivity: Connectivity) -> NDArray[np.int64]:
    """Labels by SciPy, areas by counting them."""
    structure = ndimage.generate_binary_structure(2, 1 if connectivity == 4 else 2)
    labels, _ = ndimage.label(pixels, structure)
    return np.bincount(labels.ravel())[1:]


def contenders(pixels: Mask, connectivity: Connectivity) -> dict[str, Callable[[], object]]:
    """What to time; the first is ours."""
    areas = np.sort(components(pixels, connectivity).areas)
    for peer in (opencv, cc3d_areas, scipy_areas):
        if not np.array_equal(np.sort(peer(pixels, connectivity)), areas):
            raise SystemExit(f"{peer.__name__} disagrees")
    return {
        "forge, areas, boxes and runs": lambda: components(pixels, connectivity),
        "cv2 WithStats, areas and boxes": lambda: opencv(pixels, connectivity),
        "cv2, labels only": lambda: cv2.connectedComponents(pixels, connectivity=connectivity),
        "cc3d and bincount, areas": lambda: cc3d_areas(pixels, connectivity),
        "cc3d, labels only": lambda: cc3d.connected_components(pixels, connectivity=connectivity),
        "scipy and bincount, areas": lambda: scipy_areas(pixels, connectivity),
        "copy of the mask (limit)": lambda: pixels.copy(),
    }


def measure(rounds: int) -> list[dict[str, Any]]:
    """One record per mask, connectivity and contender."""
    records = []
    for side in SIDES:
        for name in MASKS:
            pixels = mask(name, side)
            for connectivity in CONNECTIVITIES:
                timings = paired(contenders(pixels, connectivity), rounds=rounds)
                ours = next(iter(timings.values()))
                for contender, timing in timings.items():
                    over = ratio(timing, ours)
                    records.append(
                        {
                            "side": side,
                            "mask": name,
                            "connectivity": connectivity,
                            "components": components(pixels, connectivity).count,
                            "contender": contender,
                            "milliseconds": timing.milliseconds,
                            "gigabytes_per_second": pixels.size / timing.milliseconds / 1e6,
                            "times_ours": [over.low, over.middle, over.high],
                            "shown": str(over),
                        }
                    )
    return records


def main() -> None:
    """Measure, print, write."""
    parser = arguments(__doc__, "components")
    parser.add_argument("--rounds", type=int, default=9)
    options = parser.parse_args()
    cv2.setNumThreads(1)
    records = measure(options.rounds)
    for side in SIDES:
        for name in MASKS:
            for connectivity in CONNECTIVITIES:
                chosen = [
                    record
                    for record in records
                    if (record["side"], record["mask"], record["connectivity"])
                    == (side, name, connectivity)
                ]
                rows = [
                    [
                        record["contender"],
                        f"{record['milliseconds']:.3f}",
                        f"{record['gigabytes_per_second']:.2f}",
                        record["shown"],
                    ]
                    for record in chosen
                ]
                print(
                    f"{side} x {side}, {name}, {connectivity}-connected, "
                    f"{chosen[0]['components']} components\n"
                )
                print(table(["", "ms", "GB/s of mask", "times ours"], rows), end="\n\n")
    write_results(options.json, {"threads": 1, "rounds": options.rounds, "records": records})


if __name__ == "__main__":
    main()
