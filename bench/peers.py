"""What people run instead of `forge predict`, and what no program can beat: for `bench.predict`.

    python -m bench.peers NAME --model FILE --images DIR -o OUT.csv [--workers N --threads N ...]

- ``notebook``: the loop of a notebook, picture by picture: PIL, PyTorch as it is, NumPy, one mask
  for every component, the run-length loop that is passed on from notebook to notebook.
- ``loader``: a good PyTorch loop: DataLoader with workers, channels_last, `torch.inference_mode`,
  OpenCV components, run lengths in NumPy inside a component's box.
- ``loader-openvino``: the same loop with our engine.
- ``asynchronous``: our stages around OpenVINO's asynchronous requests, and nothing else.
- ``engine``: OpenVINO alone, in throughput mode over all cores, on input that lies ready.
- ``decode``: reading and decoding alone, with our decoders, in processes.

All see pictures as the network's card says (long side to its size by area averages or bilinear,
edges repeated up to a multiple) and follow the same rules: an image is flagged where the quantile
of its probabilities reaches the gate, components of too few pixels are dropped, each is an
instance. The last line on stdout is JSON: seconds until the loop began, and of the loop.
"""

from __future__ import annotations

import argparse
import csv
import json
import math
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from time import perf_counter
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from bench.limits import bare_engine, decode_only
from bench.views import MULTIPLE, files_of, pillow_rgb, shown
from forgecli.segment.checkpoint import Card, read_card

Row = tuple[str, str]


# The notebook


def notebook(card: Card, weights: Path, files: Sequence[Path]) -> Iterator[Row]:
    """Picture by picture, everything where it stands."""
    import torch

    from forgecli.segment.checkpoint import load_checkpoint

    model, _ = load_checkpoint(weights)
    model.eval()
    yield ("", "")
    limits = card.thresholds
    for file in files:
        image = pillow_rgb(file)
        height, width = image.shape[:2]
        small, (h, w) = shown(image, card.preprocess.size)
        x = small.astype(np.float32) / 255.0
        tensor = torch.from_numpy(x.transpose(2, 0, 1).copy()).unsqueeze(0)
        with torch.no_grad():
            logits = model(tensor)[0, 0].cpu().numpy()
        logits = cv2.resize(logits[:h, :w], (width, height), interpolation=cv2.INTER_LINEAR)
        prob = 1 / (1 + np.exp(-logits))
        if np.quantile(prob, limits.quantile, method="inverted_cdf") < limits.gate:
            yield (file.stem, "authentic")
            continue
        mask = (prob >= limits.pixel).astype(np.uint8)
        count, labels, stats, _ = cv2.connectedComponentsWithStats(mask, connectivity=4)
        found = []
        for i in range(1, count):
            if stats[i, cv2.CC_STAT_AREA] >= limits.min_area:
                found.append(json.dumps(notebook_runs((labels == i).astype(np.uint8))))
        yield (file.stem, ";".join(found) if found else "authentic")


def notebook_runs(mask: NDArray[np.uint8]) -> list[int]:
    """The run-length loop of the notebooks: 1-based starts and lengths, column by column."""
    runs: list[int] = []
    previous = -2
    for place in np.where(mask.T.flatten() == 1)[0]:
        if place > previous + 1:
            runs.extend((int(place) + 1, 0))
        runs[-1] += 1
        previous = place
    return runs


# The loader


class Pictures:
    """A data set for `torch.utils.data.DataLoader`: arrays with what is needed to come back."""

    def __init__(self, files: Sequence[Path], size: int) -> None:
        self.files = list(files)
        self.size = size

    def __len__(self) -> int:
        return len(self.files)

    def __getitem__(self, index: int) -> tuple[int, Any, tuple[int, int], tuple[int, int]]:
        import torch

        cv2.setNumThreads(1)
        image = pillow_rgb(self.files[index])
        small, view = shown(image, self.size)
        array = small.transpose(2, 0, 1).astype(np.float32) * np.float32(1 / 255)
        return index, torch.from_numpy(array), view, (image.shape[0], image.shape[1])


def batches_of(files: Sequence[Path], size: int, batch: int) -> list[list[int]]:
    """Indices of pictures of one padded size together, at most `batch` of them."""
    if batch == 1:
        return [[index] for index in range(len(files))]
    groups: dict[tuple[int, int], list[int]] = {}
    for index, file in enumerate(files):
        with Image.open(file) as opened:
            width, height = opened.size
        scale = min(size / height, size / width, 4.0)
        padded = tuple(-(-round(side * scale) // MULTIPLE) for side in (height, width))
        groups.setdefault((padded[0], padded[1]), []).append(index)
    return [
        group[at : at + batch] for group in groups.values() for at in range(0, len(group), batch)
    ]


def collated(items: list[Any]) -> list[Any]:
    """A batch: the arrays as one, the rest as lists."""
    import torch

    indices, arrays, views, shapes = zip(*items, strict=True)
    return [indices, torch.stack(arrays), views, shapes]


def torch_forward(weights: Path, threads: int) -> Callable[[Any], NDArray[np.float32]]:
    """The network in PyTorch, channels last."""
    import torch

    from forgecli.segment.checkpoint import load_checkpoint

    torch.set_num_threads(threads)
    model, _ = load_checkpoint(weights)
    model = model.eval().to(memory_format=torch.channels_last)

    def forward(images: Any) -> NDArray[np.float32]:
        with torch.inference_mode():
            logits = model(images.contiguous(memory_format=torch.channels_last))
            found: NDArray[np.float32] = logits[:, 0].numpy()
            return found

    return forward


def openvino_forward(onnx: Path, threads: int) -> Callable[[Any], NDArray[np.float32]]:
    """The network in our engine."""
    from engines.openvino import Mode, OpenVinoEngine
    from forgecli.segment.checkpoint import read_card as card_of

    mode: Mode = "latency" if threads == 1 else "throughput"
    engine = OpenVinoEngine(onnx, spec_of(card_of(onnx)), mode=mode, threads=threads)
    return lambda images: engine.infer(images.numpy())[:, 0]


def spec_of(card: Card) -> Any:
    """What an exported network takes and gives."""
    from engines.base import Spec

    built = card.built.get("onnx", {})
    size = built.get("size")
    return Spec(
        channels=built.get("channels", 3),
        multiple=built.get("multiple", MULTIPLE),
        size=tuple(size) if size else None,
        outputs=built.get("outputs", 1),
    )


def loader(
    card: Card,
    forward: Callable[[Any], NDArray[np.float32]],
    files: Sequence[Path],
    workers: int,
    batch: int,
) -> Iterator[Row]:
    """Batches from a DataLoader through the network, finished in this process."""
    from torch.utils.data import DataLoader

    size = card.preprocess.size
    batches: Any = DataLoader(
        Pictures(files, size),  # type: ignore[arg-type]
        batch_sampler=batches_of(files, size, batch),
        num_workers=workers,
        collate_fn=collated,
        persistent_workers=False,
    )
    yield ("", "")
    for indices, images, views, shapes in batches:
        maps = forward(images)
        for index, logits, (h, w), shape in zip(indices, maps, views, shapes, strict=True):
            yield (files[index].stem, good_annotation(logits[:h, :w], shape, card))


def good_annotation(logits: NDArray[np.float32], shape: tuple[int, int], card: Card) -> str:
    """From logits to text without loops over pixels; the sigmoid is in the thresholds."""
    limits = card.thresholds
    whole = cv2.resize(logits, (shape[1], shape[0]), interpolation=cv2.INTER_LINEAR)
    rank = max(math.ceil(limits.quantile * whole.size - 1e-6), 1) - 1
    if np.partition(whole.ravel(), rank)[rank] < _logit(limits.gate):
        return "authentic"
    mask = (whole >= _logit(limits.pixel)).view(np.uint8)
    count, labels, stats, _ = cv2.connectedComponentsWithStats(mask, connectivity=4)
    found = []
    for i in range(1, count):
        x, y, w, h, area = stats[i]
        if area >= limits.min_area:
            inside = (labels[y : y + h, x : x + w] == i).T
            edges = np.diff(np.pad(inside, ((0, 0), (1, 1))).astype(np.int8), axis=1)
            columns, tops = np.nonzero(edges == 1)
            ends = np.nonzero(edges == -1)[1]
            starts = (x + columns) * shape[0] + y + tops + 1
            found.append(json.dumps(np.stack([starts, ends - tops], 1).ravel().tolist()))
    return ";".join(found) if found else "authentic"


def _logit(probability: float) -> float:
    return math.log(probability / (1 - probability))


def main() -> None:
    """Run one of them."""
    began = perf_counter()
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    names = ("notebook", "loader", "loader-openvino", "asynchronous", "engine", "decode")
    parser.add_argument("name", choices=names)
    parser.add_argument("--model", type=Path, required=True)
    parser.add_argument("--images", type=Path, required=True)
    parser.add_argument("-o", "--output", type=Path)
    parser.add_argument("--first", type=int, help="only so many of the pictures")
    parser.add_argument("--workers", type=int, default=1)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--batch", type=int, default=1)
    asked = parser.parse_args()
    files = files_of(asked.images)[: asked.first]
    card = read_card(asked.model)
    said: dict[str, Any] = {"images": len(files)}
    if asked.name == "engine":
        said["loop"] = bare_engine(card, asked.model, files)
    elif asked.name == "decode":
        said["loop"] = decode_only(files, asked.workers)
    else:
        if asked.name == "notebook":
            rows = notebook(card, asked.model, files)
        elif asked.name == "asynchronous":
            from bench.asynchronous import asynchronous
            from forgecli.segment.onnx_file import read_onnx_card

            rows = asynchronous(read_onnx_card(asked.model), asked.model, files, asked.threads)
        else:
            make = torch_forward if asked.name == "loader" else openvino_forward
            forward = make(asked.model, asked.threads)
            rows = loader(card, forward, files, asked.workers, asked.batch)
        next(rows)  # the network is loaded
        started = perf_counter()
        found = sorted(rows)
        with asked.output.open("w", encoding="utf-8", newline="") as stream:
            writer = csv.writer(stream)
            writer.writerow(("case_id", "annotation"))
            writer.writerows(found)
        said |= {"start": started - began, "loop": perf_counter() - started}
    print(json.dumps(said))


if __name__ == "__main__":
    main()
