"""How right `forge predict` is, and its peers: `python -m bench.accuracy [--only PART]...`

Everything is measured on images of sources that nothing was fitted on (`bench.sources`), at the
default operating point. Each part has its own file under bench/results:

    sets       the program itself on the real forged images with their authentic twins, and on
               forgeries of `forge synth` with its default recipe, beside two trivial submissions
    single     single images with a cloned object or region, beside their authentic twins: the set
               that the aim of the detector speaks of
    authentic  the program itself on authentic images of every kind: what it flags wrongly
    curves     recall and pixel F1 of pasted copies over rotation, scale, mirror, size, JPEG, noise
    recipes    the same by the way a forgery is made
    peers      OpenCV's SIFT and ORB with RANSAC, and block matching, beside forge
    ablation   the detector with one part off at a time, on the forgeries of `recipes` and on
               authentic images of every kind; images over 1.5 megapixels are left out

With the numbers of images that are set, recipes, peers and ablation take some five minutes each on
two cores that nothing else runs on.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from bench import accuracy_ablation, accuracy_curves, accuracy_recipes, accuracy_single
from bench.accuracy_measure import OURS, marks
from bench.accuracy_peers import PEERS
from bench.accuracy_sets import (
    all_kinds,
    flagged_by_kind,
    measured,
    set_figures,
    synthetic,
)
from bench.accuracy_tables import TABLES
from bench.machine import RESULTS, write_results
from bench.sources import authentic_files, data_folder


def sets(asked: argparse.Namespace) -> dict[str, object]:
    """See the module."""
    data = data_folder()
    with tempfile.TemporaryDirectory() as folder:
        work = Path(folder)
        outcomes = [
            measured("competition", data / "competition", work),
            measured("competition_semi", data / "competition_semi", work),
            measured("synthetic", synthetic(authentic_files()[1], asked.forgeries, work), work),
        ]
    return set_figures(outcomes, asked.forgeries)


def single(asked: argparse.Namespace) -> dict[str, object]:
    """See the module."""
    jobs = accuracy_single.jobs(asked.singles)
    return accuracy_single.figures(list(marks(jobs, workers=asked.workers)))


def authentic(asked: argparse.Namespace) -> dict[str, object]:
    """See the module."""
    fitted, held_out = authentic_files()
    found: dict[str, object] = {"most_of_each_kind": asked.most}
    with tempfile.TemporaryDirectory() as folder:
        for name, files in (("held out", held_out), ("fitted on", fitted)):
            kinds = flagged_by_kind(files, asked.most, Path(folder), name.replace(" ", "-"))
            found[name] = kinds | {"all": all_kinds(kinds)}
    return found


def curves(asked: argparse.Namespace) -> dict[str, object]:
    """See the module."""
    jobs = accuracy_curves.jobs(asked.copies)
    figures = accuracy_curves.figures(list(marks(jobs, workers=asked.workers)))
    return {"copies_per_point": asked.copies, "seed": accuracy_curves.SEED, **figures}


def recipes(asked: argparse.Namespace) -> dict[str, object]:
    """See the module."""
    jobs = accuracy_recipes.recipe_jobs(asked.of_each_way)
    return accuracy_recipes.recipe_figures(list(marks(jobs, workers=asked.workers)))


def peers(asked: argparse.Namespace) -> dict[str, object]:
    """See the module."""
    jobs = accuracy_recipes.peer_jobs(asked.peer_forgeries, asked.peer_authentic)
    found = list(marks(jobs, methods=(OURS, *PEERS), workers=asked.workers))
    return accuracy_recipes.peer_figures(found)


def ablation(asked: argparse.Namespace) -> dict[str, object]:
    """See the module."""
    jobs = accuracy_ablation.jobs(asked.ablation_of_each_way, asked.ablation_authentic)
    found = accuracy_ablation.ablated(jobs, workers=asked.workers)
    return accuracy_ablation.figures(found)


PARTS: dict[str, Callable[[argparse.Namespace], dict[str, object]]] = {
    "sets": sets,
    "single": single,
    "authentic": authentic,
    "curves": curves,
    "recipes": recipes,
    "peers": peers,
    "ablation": ablation,
}


def main() -> None:
    """Run the parts that are asked for, print each, and write its file."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--only", action="append", choices=list(PARTS), help="may be repeated")
    parser.add_argument("--results", type=Path, default=RESULTS, metavar="DIR")
    parser.add_argument("--workers", type=int, default=2, help="of curves and what follows")
    parser.add_argument("--forgeries", type=int, default=60, help="cases of the synthetic set")
    parser.add_argument("--singles", type=int, default=120, help="single images, and their twins")
    parser.add_argument("--most", type=int, default=15, help="authentic images of each kind")
    parser.add_argument("--copies", type=int, default=12, help="at every point of the curves")
    parser.add_argument("--of-each-way", type=int, default=20, help="forgeries of every way")
    parser.add_argument("--peer-forgeries", type=int, default=60, help="and as many twins")
    parser.add_argument("--peer-authentic", type=int, default=10, help="images of each kind")
    parser.add_argument(
        "--ablation-of-each-way", type=int, default=6, metavar="N", help="forgeries"
    )
    parser.add_argument("--ablation-authentic", type=int, default=3, metavar="N", help="of a kind")
    asked = parser.parse_args()
    for name in asked.only or PARTS:
        started = time.perf_counter()
        figures = PARTS[name](asked)
        path = asked.results / f"accuracy-{name}.json"
        write_results(path, figures)
        print(f"\n{name}: {time.perf_counter() - started:.0f} s\n")
        print(TABLES[path.stem](figures), flush=True)


if __name__ == "__main__":
    main()
