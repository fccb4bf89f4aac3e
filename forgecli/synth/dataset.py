"""Write a data set of forgeries in the competition's layout, in parallel and repeatably.

Case number i depends on the seed, i, the recipe and the sources alone: neither on the number of
workers nor on the cases before it. A run that was cut short goes on where it stopped.
"""

from __future__ import annotations

import io
import json
from collections.abc import Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from dataclasses import asdict, dataclass, field
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from forgecli import __version__
from forgecli.atomic import atomic_writer
from forgecli.errors import ForgeError, UsageError
from forgecli.stop import leave_interrupts
from forgecli.synth.forgery import Forgery, generate, generate_authentic
from forgecli.synth.recipe import Output, Recipe
from forgecli.synth.sources import LazySources, SourceFile, digest

_IDENTITY = "synth.json"


@dataclass(frozen=True, slots=True)
class Job:
    """What makes a data set what it is.

    Attributes:
        files: the source images.
        seed: from 0 on.
    """

    files: Sequence[SourceFile]
    recipe: Recipe
    seed: int
    folder: Path

    def identity(self) -> dict[str, Any]:
        """Two runs with equal identities make equal cases."""
        return {
            "forge": __version__,
            "seed": self.seed,
            "sources": digest(self.files),
            "recipe": json.loads(json.dumps(self.recipe.tables())),
            "numpy": np.__version__.rsplit(".", 1)[0],
            "opencv": cv2.__version__,
        }


@dataclass(frozen=True, slots=True)
class Written:
    """What became of one case.

    Attributes:
        label: ``forged`` or ``authentic``; empty if it failed.
        ways: how each of its groups was forged; the kind of negative for an authentic case.
        coverage: share of the image that its masks cover, in percent.
        twin: whether the authentic twin was written as well.
        problem: why it failed.
        unreadable: source files that could not be read, with reasons.
    """

    case_id: str
    label: str = ""
    shape: tuple[int, int] = (0, 0)
    instances: int = 0
    ways: tuple[str, ...] = ()
    coverage: float = 0.0
    twin: bool = False
    problem: str = ""
    unreadable: dict[str, str] = field(default_factory=dict)


def write_dataset(job: Job, count: int, workers: int = 1) -> Iterator[Written]:
    """Make and write cases 0 to count - 1 that are not there yet.

    Below `job.folder`: ``train_images/authentic/ID.png``, ``train_images/forged/ID.png``,
    ``train_masks/ID.npy`` (uint8 0 or 1, (N, H, W)), ``cards/ID.json`` (what was done; written
    last) and ``synth.json`` (what the set was made from). A forgery and its authentic twin share
    an id.

    Yields:
        one record per case, in the order of completion; cases that were there already come first.

    Raises:
        UsageError: the folder holds something else, or was made from other sources, with another
            recipe or seed.
        ForgeError: it cannot be written.
    """
    _claim(job)
    missing = []
    for index in range(count):
        card = job.folder / "cards" / f"{case_id(index)}.json"
        if card.is_file():
            yield _from_card(card)
        else:
            missing.append(index)
    if workers <= 1 or len(missing) <= 1:
        maker = _Maker(job)
        for index in missing:
            yield maker.make(index)
        return
    # Not by fork: the threads of OpenCV would not live through it.
    pool = ProcessPoolExecutor(workers, get_context("spawn"), _start_worker, (job,))
    try:
        pending: set[Future[Written]] = set()
        for index in missing:
            pending.add(pool.submit(_make, index))
            if len(pending) >= 3 * workers:
                done, pending = wait(pending, return_when=FIRST_COMPLETED)
                yield from (future.result() for future in done)
        while pending:
            done, pending = wait(pending, return_when=FIRST_COMPLETED)
            yield from (future.result() for future in done)
    except BrokenProcessPool as error:
        raise ForgeError(
            "a worker process was ended from outside, perhaps for want of memory.",
            mend="run it again with fewer --workers; it goes on where it stopped",
        ) from error
    finally:
        pool.shutdown(wait=True, cancel_futures=True)


def case_id(index: int) -> str:
    """The id of a case."""
    return f"{index:06d}"


def case_rng(seed: int, index: int) -> np.random.Generator:
    """The generator that decides everything about one case."""
    return np.random.default_rng(np.random.SeedSequence(seed, spawn_key=(index,)))


class _Maker:
    def __init__(self, job: Job) -> None:
        self.job = job
        self.sources = LazySources(job.files)
        self.kinds = [item.kind for item in job.files]

    def make(self, index: int) -> Written:
        threads = cv2.getNumThreads()
        cv2.setNumThreads(1)  # cases run beside each other; threads within one would fight
        try:
            return self._make(index)
        finally:
            cv2.setNumThreads(threads)

    def _make(self, index: int) -> Written:
        job, rng = self.job, case_rng(self.job.seed, index)
        self.sources.unreadable.clear()
        make = generate_authentic if rng.random() < job.recipe.negatives.share else generate
        try:
            made = make(rng, self.sources, job.recipe, self.kinds)
        except ForgeError as error:
            return Written(
                case_id(index), problem=error.what, unreadable=dict(self.sources.unreadable)
            )
        return self._write(rng, case_id(index), made)

    def _write(self, rng: np.random.Generator, name: str, made: Forgery) -> Written:
        folder, forged = self.job.folder, len(made.masks) > 0
        encode = _draw_encoding(rng, self.job.recipe.output, made.twin)
        twin = not forged or bool(rng.random() < self.job.recipe.output.twins)
        files: dict[Path, bytes] = {}
        if forged:
            files[folder / "train_images" / "forged" / f"{name}.png"] = encode(made.image)
            packed = io.BytesIO()
            np.save(packed, made.masks, allow_pickle=False)
            files[folder / "train_masks" / f"{name}.npy"] = packed.getvalue()
        if twin:
            files[folder / "train_images" / "authentic" / f"{name}.png"] = encode(made.twin)
        written = Written(
            case_id=name,
            label=made.card["label"],
            shape=(made.image.shape[0], made.image.shape[1]),
            instances=len(made.masks),
            ways=tuple(group["kind"] for group in made.card["groups"])
            if forged
            else (made.card["kind"],),
            coverage=round(100 * float(made.masks.any(axis=0).mean()), 4) if forged else 0.0,
            twin=forged and twin,
            unreadable=dict(self.sources.unreadable),
        )
        card = {"case": asdict(written), **made.card}
        card["sources"] = [self.job.files[index].name for index in made.card["sources"]]
        del card["case"]["unreadable"], card["case"]["problem"]
        files[folder / "cards" / f"{name}.json"] = (json.dumps(card, indent=1) + "\n").encode()
        for path, data in files.items():  # the card last: it says that the case is complete
            with atomic_writer(path, "wb") as file:
                file.write(data)
        return written


class _Encoding:
    """PNG with one, three or four channels."""

    def __init__(self, channels: int) -> None:
        self.channels = channels

    def __call__(self, pixels: NDArray[np.uint8]) -> bytes:
        if self.channels == 1:
            shown = pixels[:, :, 0]
        elif self.channels == 4:
            shown = np.dstack([pixels[:, :, ::-1], np.full(pixels.shape[:2], 255, np.uint8)])
        else:
            shown = pixels[:, :, ::-1]
        ok, packed = cv2.imencode(".png", np.ascontiguousarray(shown))
        if not ok:
            raise ForgeError("a picture could not be encoded as PNG.")
        return packed.tobytes()


def _draw_encoding(
    rng: np.random.Generator, output: Output, pixels: NDArray[np.uint8]
) -> _Encoding:
    four, one = rng.random() < output.rgba, rng.random() < output.grey
    first, second, third = cv2.split(pixels)
    if one and np.array_equal(first, second) and np.array_equal(first, third):
        return _Encoding(1)
    return _Encoding(4 if four else 3)


def _from_card(path: Path) -> Written:
    try:
        case = json.loads(path.read_text(encoding="utf-8"))["case"]
        return Written(**{**case, "shape": tuple(case["shape"]), "ways": tuple(case["ways"])})
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ForgeError(
            "is not a card of this data set.", file=path, mend="delete it, and it is made again"
        ) from error


def _claim(job: Job) -> None:
    """Make sure that the folder is new, or holds a part of the very same data set."""
    mark = job.folder / _IDENTITY
    wanted = job.identity()
    if mark.is_file():
        try:
            found = json.loads(mark.read_text(encoding="utf-8"))
        except (OSError, ValueError) as error:
            raise UsageError("cannot be read.", file=mark, mend="write elsewhere") from error
        other = [
            key for key in wanted if not isinstance(found, dict) or found.get(key) != wanted[key]
        ]
        if other:
            raise UsageError(
                f"holds a data set that differs in {', '.join(other)}.",
                file=job.folder,
                mend="write to another folder",
            )
        return
    if job.folder.is_dir() and any(job.folder.iterdir()):
        raise UsageError("is not empty.", file=job.folder, mend="name a new folder")
    with atomic_writer(mark) as file:
        json.dump(wanted, file, indent=1)


_maker: _Maker | None = None


def _start_worker(job: Job) -> None:
    global _maker
    leave_interrupts()
    _maker = _Maker(job)


def _make(index: int) -> Written:
    assert _maker is not None
    return _maker.make(index)
