"""`forge predict` with a network on the CPU, against what people run.

    python -m bench.predict [--files N] [--rounds N] [--size PX] [--encoder NAME]
        [--model FILE.safetensors] [--int8 [--labelled DATASET]]

Every contender is a program of its own that takes a folder of drawn files (see
`bench.predict_data`) to a submission; `bench.peers` holds those that are not ours:

- peer A, the loop of a notebook; peer B, a good DataLoader loop with the best of several settings,
  found in a run before; peer B with our engine, which tells what is the engine's and what ours;
- ours: `forge predict` with the .onnx (OpenVINO), and with the checkpoint (PyTorch);
- the same stages around OpenVINO's asynchronous requests and nothing else (`bench.asynchronous`),
  which tells what it costs that a picture may end a process, and that every row has its details;
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

import sys
import tempfile
from pathlib import Path
from typing import Any

from bench.agreement import agreement, described
from bench.machine import arguments, write_results
from bench.predict_data import draw, write_network
from bench.predict_network import INT8_TOLERANCE, borrowed, export, quantised
from bench.predict_programs import (
    ASYNCHRONOUS,
    CHECKPOINT,
    CONTROL,
    DECODE,
    ENGINE,
    INT8,
    LOADER,
    NOTEBOOK,
    OURS,
    Stage,
    best_loader,
)
from bench.predict_rates import report, times_as_long
from bench.programs import Contender, forget, say
from bench.views import files_of, refuse_tiles
from forgecli.cases.header import read_size
from forgecli.cores import available_cores
from forgecli.doctor.packages import installed
from forgecli.segment.checkpoint import read_card

LIBRARIES = ("openvino", "torch", "segmentation-models-pytorch", "pillow", "nncf")


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
            say(f"round {turn + 1}: {name}: {contender.whole[-1].wall:.1f} s")
        for name in found:
            if name not in (OURS, INT8):
                alike = agreement(stage.output(OURS), stage.output(name), shapes)
                if not alike.equal:
                    sys.exit(f"not the same: {name}: {alike}")


def _shape(file: Path) -> tuple[int, int]:
    header = read_size(file)
    return header.height, header.width


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
        say(f"peer B: {best}; with our engine: {control}")
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
    print(f"forge is {versus} times as fast as the bare loop of asynchronous requests, {how}")
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
            "against_asynchronous": [versus.low, versus.middle, versus.high],
            "int8": int8,
            "contenders": results,
        },
    )


if __name__ == "__main__":
    main()
