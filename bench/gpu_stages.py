"""Stages of the match detector on a GPU beside the same on the CPU: how it is said and run.

`bench.gpu_match` has the dense field, `bench.gpu_verify` the comparing and the verification.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any

from bench.machine import arguments, table, write_results
from kernels.cuda.device import Device

SIDES_QUICK = (1024,)
"""Pixels: the one size of a quick run."""


def label(record: dict[str, Any]) -> str:
    """What was measured."""
    return f"{record['side']} x {record['side']}: {record['stage']}"


def figure(record: dict[str, Any]) -> str:
    """What was found, in a line."""
    return (f"{record['gpu_milliseconds']:.2f} ms, the CPU {record['cpu_milliseconds']:.1f} ms: "
            f"{record['shown']} times as long")  # fmt: skip


def show(results: dict[str, Any]) -> str:
    """The records as a table."""
    rows = [
        [
            label(record),
            f"{record['cpu_milliseconds']:.1f}",
            f"{record['gpu_milliseconds']:.2f}",
            record["shown"],
        ]
        for record in results["records"]
    ]
    header = ["", f"ms, CPU, {results['threads']} threads", "ms, GPU", "CPU over GPU"]
    return f"{results['device']}\n\n{table(header, rows)}"


def run(
    doc: str | None,
    name: str,
    measured: Callable[[Device, tuple[int, ...], int], dict[str, Any]],
    sides: tuple[int, ...],
) -> None:
    """The program of such a bench: measure, print, write.

    Args:
        doc: of the bench. name: of its results.
        measured: what it does on a device, for the sides, so many rounds.
        sides: of pictures in pixels.

    Raises:
        SystemExit: there is no GPU.
    """
    parser = arguments(doc, name)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--quick", action="store_true", help="one size")
    options = parser.parse_args()
    try:
        from kernels.cuda.cupy_device import CupyDevice

        device = CupyDevice()
    except (ImportError, RuntimeError) as error:
        print(f"this bench needs an NVIDIA GPU and CuPy: {error}", file=sys.stderr)
        raise SystemExit(2) from None
    results = measured(device, SIDES_QUICK if options.quick else sides, options.rounds)
    print(show(results))
    write_results(options.json, results)
