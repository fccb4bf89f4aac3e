"""What `bench.predict` measured, as rates and ratios: its table, and the same as JSON."""

from __future__ import annotations

from collections.abc import Mapping
from statistics import median
from typing import Any

from bench.machine import Ratio, Timing, ratio, table
from bench.predict_programs import DECODE, ENGINE, LOADER, NOTEBOOK
from bench.programs import Contender

HEADER = ("contender", "images/s", "without start", "CPU s/image", "times peer A", "times peer B",
          "of the limit", "cold start s")  # fmt: skip


def times_as_long(one: Contender, other: Contender) -> tuple[Ratio, str]:
    """How many times as long the one took as the other, and whether with the start of both or
    without: without it where it can be told from the rest in both."""
    rests = one.without_start(), other.without_start()
    if rests[0] is not None and rests[1] is not None:
        return ratio(rests[0], rests[1]), "without the start"
    return ratio(one.seconds(), other.seconds()), "with the start"


def report(contenders: Mapping[str, Contender], files: int) -> tuple[str, dict[str, Any]]:
    """The table, and the same for the JSON file."""
    rows, results = [], {}
    limit = max((contenders[name].seconds().wall for name in (ENGINE, DECODE)), key=median)
    bare = Timing(limit, limit)
    for name, each in contenders.items():
        whole, rest = each.seconds(), each.without_start()
        count = files if each.limit else files - 1
        rate = count / median(rest.wall) if rest else None
        versus = {peer: ratio(contenders[peer].seconds(), whole)
                  for peer in (NOTEBOOK, LOADER) if not each.limit}  # fmt: skip
        bound = Timing(tuple(seconds * count / files for seconds in bare.wall), ())
        share = ratio(bound, rest) if rest else None
        rows.append([
            name,
            f"{files / median(whole.wall):.2f}",
            f"{rate:.2f}" if rate else "",
            f"{median(whole.cpu) / files:.3f}",
            *(str(versus[peer]) if peer in versus else "" for peer in (NOTEBOOK, LOADER)),
            str(share or ""),
            f"{each.cold.wall:.1f}" if each.cold else "",
        ])  # fmt: skip
        results[name] = {
            "seconds": whole.wall,
            "cpu_seconds": whole.cpu,
            "seconds_one_file": [ran.wall for ran in each.one],
            "cold_seconds_one_file": each.cold.wall if each.cold else None,
            "images_per_second": files / median(whole.wall),
            "images_per_second_without_start": rate,
            "cpu_seconds_per_image": median(whole.cpu) / files,
            "times_as_fast_as": {p: [r.low, r.middle, r.high] for p, r in versus.items()},
            "of_limit": [share.low, share.middle, share.high] if share else None,
        }
    return table(HEADER, rows), results
