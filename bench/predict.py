"""`forge predict` with a network on the CPU, against what people run.

    python -m bench.predict [--files N] [--rounds N] [--size PX] [--encoder NAME]
        [--model FILE.safetensors] [--int8 [--labelled DATASET]]

Every contender is a program of its own that takes a folder of drawn files (see
`bench.predict_data`) to a submission; `bench.peers` holds those that are not ours:

- peer A, the loop of a notebook; peer B, a good DataLoader loop with the best of several settings,
  found in a run before; peer B with our engine, which tells what is the engine's and what ours;
- ours: `forge predict` with the .onnx (OpenVINO), and with the checkpoint (PyTorch);
- the same stages in one process around OpenVINO's asynchronous requests (`bench.asynchronous`), in
  place of a process for every core;
- the limits: OpenVINO alone on ready input, and decoding alone.

They run in turn, round by round, in another order each time; ratios are medians of the rounds'
ratios, with quartiles. Each also runs on one file, so that the start can be told from the rest:
the rate without the start is that of all files but one, in the difference of the two times. Cold
is the first time on one file, the files and the compiled network not being in any cache.

In FP32 all have to find the same, or nothing is printed: the mean score by the competition's
metric of one against the other over `agreement.LEAST_SCORE`, and fewer than
`agreement.MOST_DIFFERENT` of all pixels in the one and not in the other (rounding moves pixels
that lie right at the threshold).
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path
from statistics import median
from typing import Any

from bench.agreement import agreement, described
from bench.machine import Ratio, Timing, arguments, ratio, table, write_results
from bench.predict_data import draw, write_network
from bench.programs import Contender, Ran, forget, run
from bench.views import files_of, refuse_tiles
from forgecli.cases.header import read_size
from forgecli.cores import available_cores
from forgecli.doctor.packages import installed
from forgecli.errors import ForgeError
from forgecli.segment.checkpoint import card_file, read_card

FORGE = [sys.executable, "-c", "from forgecli.app import main; main()"]
PEERS = [sys.executable, "-m", "bench.peers"]
OURS = "forge, .onnx"
NOTEBOOK = "peer A: notebook"
LOADER = "peer B: DataLoader"
CONTROL = "peer B, our engine"
CHECKPOINT = "forge, .safetensors"
ASYNCHRONOUS = "one process, asynchronous"
INT8 = "forge, INT8"
ENGINE = "limit: engine alone"
DECODE = "limit: decode alone"

INT8_TOLERANCE = 0.01
"""How much lower the score of INT8 against FP32 may be than 1."""

LIBRARIES = ("openvino", "torch", "segmentation-models-pytorch", "pillow", "nncf")


class Stage:
    """The files, the network and the places of one bench.

    Args:
        images: all pictures.
        one: a folder with one of them.
        checkpoint: with the .onnx beside it.
        work: for submissions.
    """

    def __init__(self, images: Path, one: Path, checkpoint: Path, work: Path) -> None:
        self.images, self.one, self.work = images, one, work
        self.checkpoint, self.onnx = checkpoint, checkpoint.with_suffix(".onnx")
        self.environment = {**os.environ, "XDG_CACHE_HOME": str(work / "cache")}

    def peer(self, name: str, **options: int) -> list[str]:
        """The command of a program of `bench.peers`."""
        exported = name in ("asynchronous", "engine", "loader-openvino")
        command = [*PEERS, name, "--model", str(self.onnx if exported else self.checkpoint)]
        for option, value in options.items():
            command += [f"--{option}", str(value)]
        return command

    def ours(self, model: Path) -> list[str]:
        """`forge predict`, as a user types it."""
        return [
            *FORGE,
            "predict",
            "--model",
            str(model),
            "--overwrite",
            "--json",
            "--device",
            "cpu",
        ]

    def output(self, name: str, *, one: bool = False) -> Path:
        """Where a contender's submission goes."""
        plain = "".join(letter if letter.isalnum() else "-" for letter in name)
        return self.work / f"{plain}{'-one' if one else ''}.csv"

    def run(self, name: str, contender: Contender, *, one: bool = False) -> Ran:
        """Run one contender on all files or on one."""
        images = self.one if one else self.images
        rest = ["-o", str(self.output(name, one=one))]
        forge = contender.command[: len(FORGE)] == FORGE
        return run([*contender.command, *([] if forge else ["--images"]), images, *rest],
                   self.environment)  # fmt: skip


def best_loader(stage: Stage, name: str, subset: int) -> tuple[dict[str, int], dict[str, float]]:
    """The fastest setting of peer B on the first files, and the seconds of all that were tried."""
    cores = available_cores()
    settings = [
        {"workers": workers, "threads": threads, "batch": batch}
        for workers in sorted({0, 1, cores})
        for threads in sorted({1, cores})
        for batch in (1, 4)
        if batch == 1 or workers == 1
    ]
    tried = {}
    for options in settings:
        command: list[str | Path] = [*stage.peer(name, **options), "--first", str(subset)]
        rest: list[str | Path] = ["--images", stage.images, "-o", stage.output("trial")]
        ran = run([*command, *rest], stage.environment)
        tried[", ".join(f"{key} {value}" for key, value in options.items())] = ran.said["loop"]
    best = min(range(len(settings)), key=lambda index: list(tried.values())[index])
    return settings[best], tried


def borrowed(model: Path, work: Path) -> Path:
    """A copy of a user's checkpoint, so that nothing is written beside theirs."""
    for file in (model, card_file(model)):
        if not file.is_file():
            sys.exit(f"{file}: there is no such file; a checkpoint is a .safetensors and its .json")
        (work / file.name).write_bytes(file.read_bytes())
    return work / model.name


def export(checkpoint: Path) -> None:
    """Write the .onnx beside the checkpoint, by the program."""
    command = [*FORGE, "build-engine", str(checkpoint), "--onnx-only", "--precision", "fp32"]
    done = subprocess.run([*command, "--overwrite"], capture_output=True, text=True, check=False)
    if done.returncode or not checkpoint.with_suffix(".onnx").exists():
        sys.exit(f"the network cannot be exported:\n{done.stderr}")


def quantised(stage: Stage, images: int, labelled: Path | None) -> tuple[Path | None, str]:
    """The network in INT8, as `forge build-engine` makes it; None and why if its gate refuses it.

    Args:
        images: half of them to calibrate with; of drawn files the other half is judged on.
        labelled: images with masks to calibrate with and judge on. None: drawn files of another
            seed, and what the network finds there in FP32 is taken for the truth, for one of random
            weights has no other; the gate then asks how well INT8 repeats it.
    """
    from forgecli.build.int8 import quantise

    dataset = labelled or _as_it_finds_them(stage, images)
    target = stage.onnx.with_name(f"{stage.onnx.stem}.int8.onnx")
    try:
        quantise(stage.onnx, dataset, target, images=images // 2, tolerance=INT8_TOLERANCE,
                 note=_say)  # fmt: skip
    except ForgeError as error:  # the bench goes on without it
        return None, error.what
    return target, ""


def _as_it_finds_them(stage: Stage, images: int) -> Path:
    """A data set of drawn files whose masks are what the network flags."""
    dataset = stage.work / "calibration"
    folder = dataset / "train_images" / "forged"
    draw(folder, images, seed=4711)
    flagged = stage.work / "calibration.csv"
    run([*stage.ours(stage.onnx), folder, "-o", flagged, "--masks", dataset / "train_masks"],
        stage.environment)  # fmt: skip
    authentic = dataset / "train_images" / "authentic"
    authentic.mkdir(exist_ok=True)
    for file in files_of(folder):
        if not (dataset / "train_masks" / f"{file.stem}.npy").exists():
            file.rename(authentic / file.name)
    return dataset


def measure(stage: Stage, contenders: dict[str, Contender], rounds: int) -> None:
    """Cold runs, then the rounds; every run's submission is checked against ours."""
    shapes = {file.stem: _shape(file) for file in files_of(stage.images)}
    found = {name: each for name, each in contenders.items() if not each.limit}
    for name, contender in found.items():
        forget([*files_of(stage.one), stage.checkpoint, stage.onnx])
        contender.cold = stage.run(name, contender, one=True)
    names = list(contenders)
    for turn in range(rounds):
        shift = turn % len(names)
        for name in names[shift:] + names[:shift]:
            contender = contenders[name]
            if not contender.limit:
                contender.one.append(stage.run(name, contender, one=True))
            contender.whole.append(stage.run(name, contender))
            _say(f"round {turn + 1}: {name}: {contender.whole[-1].wall:.1f} s")
        for name in found:
            if name not in (OURS, INT8):
                alike = agreement(stage.output(OURS), stage.output(name), shapes)
                if not alike.equal:
                    sys.exit(f"not the same: {name}: {alike}")


def _shape(file: Path) -> tuple[int, int]:
    header = read_size(file)
    return header.height, header.width


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


HEADER = ("contender", "images/s", "without start", "CPU s/image", "times peer A", "times peer B",
          "of the limit", "cold start s")  # fmt: skip


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


def main() -> None:
    """Measure, compare, print, write."""
    parser = arguments(__doc__, "predict")
    parser.add_argument("--files", type=int, default=500)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--size", type=int, default=512, help="pixels of the network's view")
    parser.add_argument("--encoder", default="resnet18", help="or tu-tf_efficientnet_lite0")
    parser.add_argument("--workers", type=int, help="of forge predict; default: its own")
    parser.add_argument("--model", type=Path, metavar="FILE.safetensors",
                        help="a network of yours, its .json beside it")  # fmt: skip
    parser.add_argument("--int8", action="store_true", help="quantise the network as well")
    parser.add_argument("--labelled", type=Path, metavar="DATASET",
                        help="images with masks that INT8 is calibrated and judged on")  # fmt: skip
    parser.add_argument("--calibration", type=int, default=48, help="files for INT8")
    parser.add_argument("--work", type=Path, help="keep files and networks here")
    asked = parser.parse_args()
    if asked.labelled and not asked.int8:
        parser.error("--labelled is for --int8")
    if asked.model:
        refuse_tiles(read_card(asked.model))
    with tempfile.TemporaryDirectory() as folder:
        work = asked.work or Path(folder)
        work.mkdir(parents=True, exist_ok=True)
        files = draw(work / f"files-{asked.files}", asked.files)
        one = work / "one"
        draw(one, 1)
        facts: dict[str, Any] = {"file": asked.model.name} if asked.model else {}
        if asked.model is None:
            checkpoint = work / f"{asked.encoder}-{asked.size}.safetensors"
            facts = write_network(checkpoint, asked.encoder, asked.size, files)
        else:
            checkpoint = borrowed(asked.model, work)
        export(checkpoint)
        stage = Stage(work / f"files-{asked.files}", one, checkpoint, work)
        subset = max(min(asked.files, 24), 1)
        best, tried = best_loader(stage, "loader", subset)
        control, tried_control = best_loader(stage, "loader-openvino", subset)
        _say(f"peer B: {best}; with our engine: {control}")
        workers = ["--workers", str(asked.workers)] if asked.workers is not None else []
        contenders = {
            OURS: Contender(stage.ours(stage.onnx) + workers),
            CHECKPOINT: Contender(stage.ours(checkpoint) + workers),
            NOTEBOOK: Contender(stage.peer("notebook")),
            LOADER: Contender(stage.peer("loader", **best)),
            CONTROL: Contender(stage.peer("loader-openvino", **control)),
            ASYNCHRONOUS: Contender(stage.peer("asynchronous", threads=available_cores())),
            ENGINE: Contender(stage.peer("engine"), limit=True),
            DECODE: Contender(stage.peer("decode", workers=available_cores()), limit=True),
        }
        int8: dict[str, Any] = {}
        if asked.int8:
            model, refused = quantised(stage, asked.calibration, asked.labelled)
            int8 = {"refused": refused}
            if model is not None:
                contenders[INT8] = Contender(stage.ours(model) + workers)
        measure(stage, contenders, asked.rounds)
        shapes = {file.stem: _shape(file) for file in files}
        about = described(stage.output(OURS), shapes)
        others = [name for name, each in contenders.items() if not each.limit and name != OURS]
        alike = {name: agreement(stage.output(OURS), stage.output(name), shapes)
                 for name in others}  # fmt: skip
    text, results = report(contenders, asked.files)
    print(f"{facts}\n{about}\n")
    print(text)
    versus, how = times_as_long(contenders[ASYNCHRONOUS], contenders[OURS])
    print(f"processes are {versus} times as fast as one process with asynchronous requests, {how}")
    for name, each in alike.items():
        print(f"{name}: score against ours {each.score:.5f}, other pixels {each.different:.2e}")
    if INT8 in contenders:
        faster, how = times_as_long(contenders[OURS], contenders[INT8])
        passed = alike[INT8].score >= 1 - INT8_TOLERANCE
        print(
            f"INT8 is {faster} times as fast as FP32, {how}; its gate: "
            f"{'passed' if passed else 'failed'}"
        )
        int8 |= {"times_as_fast_as_fp32": [faster.low, faster.middle, faster.high],
                 "passed": passed}  # fmt: skip
    elif int8:
        print(f"INT8 was refused: {int8['refused']}")
    write_results(
        asked.json,
        {
            "libraries": {name: found for name in LIBRARIES if (found := installed(name))},
            "network": facts,
            "set": about,
            "rounds": asked.rounds,
            "peer_b": {"best": best, "tried": tried},
            "peer_b_our_engine": {"best": control, "tried": tried_control},
            "agreement": {name: [each.score, each.different] for name, each in alike.items()},
            "processes_against_asynchronous": [versus.low, versus.middle, versus.high],
            "int8": int8,
            "contenders": results,
        },
    )


if __name__ == "__main__":
    main()
