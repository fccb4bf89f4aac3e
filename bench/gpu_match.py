"""The dense field on a GPU against the CPU's kernels, stage by stage.

    python -m bench.gpu_match [--rounds N] [--quick] [--json FILE]

Stages: describing the discs, seeding the field, finding it (seeding, then letting it spread),
counting who agrees, fitting maps; and all of them as `forge` calls them, with every copy to and
from the GPU. In the single stages all lies on the GPU. A stage ends when the GPU has ended. The
CPU uses all the cores it may.

First the two sides are compared, and nothing is printed if they disagree: moments, spreading,
counts and maps to the last bit; of the seeding, which may put a disc on the border of two cells
into the other one, at most one match in a thousand may differ. Every ratio is the median, over
interleaved rounds, of the CPU's time over the GPU's in the same round, with its quartiles.
On a machine without a GPU it says so, and exits with 2. This has not run on a GPU yet.
"""

from __future__ import annotations

from typing import Any

import numba

from bench.dense_sides import Sides, drawn
from bench.gpu_parts import Part
from bench.gpu_stages import SIDES_QUICK, figure, label, run
from bench.machine import paired, ratio
from kernels.cuda.device import Device

SIDES = (512, 1024, 2048)


def compared(device: Device, side: int, rounds: int, least: float = 0.02) -> list[dict[str, Any]]:
    """One record per stage, of an image (side, side).

    Args:
        rounds: how often each stage has its turn on either side.
        least: seconds of a turn, by repetition.

    Raises:
        SystemExit: a result differs.
    """
    sides = Sides(device, device.stream(), drawn(side))
    unequal = sides.check()
    records = []
    for stage, (cpu, gpu) in sides.stages().items():
        times = paired({"cpu": cpu, "gpu": gpu}, rounds=rounds, least=least)
        over = ratio(times["cpu"], times["gpu"])
        records.append(
            {
                "side": side,
                "stage": stage,
                "cpu_milliseconds": times["cpu"].milliseconds,
                "gpu_milliseconds": times["gpu"].milliseconds,
                "cpu_over_gpu": [over.low, over.middle, over.high],
                "shown": str(over),
                "seeds_unequal": unequal,
                "gpu_bytes_per_pixel": sides.bytes_per_pixel,
            }
        )
    return records


def measured(device: Device, sides: tuple[int, ...], rounds: int) -> dict[str, Any]:
    """Records of all sizes, and what they were made on."""
    records = [record for side in sides for record in compared(device, side, rounds)]
    return {"device": device.name, "threads": numba.get_num_threads(), "records": records}


def measure(part: Part) -> None:
    """As a part of `bench.gpu`."""
    from kernels.cuda.cupy_device import CupyDevice

    device = CupyDevice()
    for side in SIDES_QUICK if part.quick else SIDES:
        for record in compared(device, side, rounds=3 if part.quick else 7):
            part.add(label(record), figure(record), **record)


def main() -> None:
    """Measure, print, write."""
    run(__doc__, "gpu_match", measured, SIDES)


if __name__ == "__main__":
    main()
