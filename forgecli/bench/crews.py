"""The same work in several processes at the same time, for a while: how much gets done.

Or in threads of one process, where predict works so. Every process prepares all phases before the
first is timed, so that imports, weights and compiling are not in the figures. A phase begins in all
of them at the same moment.
"""

from __future__ import annotations

import multiprocessing
import traceback
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from functools import partial
from multiprocessing.connection import Connection
from time import perf_counter, process_time
from typing import Any

from forgecli.cores import threads_of_children
from forgecli.errors import ForgeError

Step = Callable[[int], Mapping[str, float]]
"""Looks at picture number i (any number: they come round again). Gives seconds by stage, and under
``images`` how many images that was, if it was not one."""

Maker = Callable[[], Step]
"""Makes the step of a phase in the process that runs it: a function of a module, or a partial."""


@dataclass(frozen=True, slots=True)
class Rate:
    """What was done in a phase.

    Attributes:
        images: all processes together.
        per_second: the sum of the lanes' rates.
        cpu: CPU seconds per image, of all threads.
        seconds: mean seconds per image by stage, in one process while the others work too.
    """

    images: int
    per_second: float
    cpu: float
    seconds: dict[str, float] = field(default_factory=dict)


def rates(
    phases: Mapping[str, tuple[Maker, float]],
    pictures: int,
    *,
    processes: int,
    threads: int,
    lanes: int = 1,
) -> tuple[dict[str, Rate], int]:
    """Run phases one after the other, each in all processes at the same time.

    A phase goes through the same pictures once or several times, so that all of them have the same
    mix. Where an image takes so long that they would not all fit, the first ones are taken.

    Args:
        phases: by name, how its step is made, and for how many seconds it runs at least. The first
            is the slowest.
        pictures: how many there are.
        processes: how many, 1 or more.
        threads: of the libraries in each lane.
        lanes: threads of each process that go through the pictures side by side, with one step.

    Returns:
        the rates, and how many of the pictures were taken.

    Raises:
        ForgeError: a process could not prepare, or ended.
    """
    makers = {name: maker for name, (maker, _) in phases.items()}
    with _crew(makers, processes, threads, lanes) as pipes:
        slowest = next(iter(phases))
        alone = _phase(pipes, slowest, 0.0, 1).per_second / (processes * lanes)
        taken = min(max(int(alone * phases[slowest][1]), 1), pictures)
        found = {name: _phase(pipes, name, seconds, taken)
                 for name, (_, seconds) in phases.items()}  # fmt: skip
        return found, taken


def _phase(pipes: list[Connection], name: str, seconds: float, pictures: int) -> Rate:
    for pipe in pipes:
        pipe.send((name, seconds, pictures))
    said = [lane for pipe in pipes for lane in _heard(pipe)["lanes"]]
    images = sum(each["images"] for each in said)
    stages: Counter[str] = Counter()
    for each in said:
        stages.update(each["stages"])
    return Rate(
        images,
        sum(each["images"] / each["wall"] for each in said),
        sum(each["cpu"] for each in said) / images,
        {stage: total / images for stage, total in stages.items()},
    )


@contextmanager
def _crew(
    makers: Mapping[str, Maker], processes: int, threads: int, lanes: int
) -> Iterator[list[Connection]]:
    """Processes that have prepared; the first alone, for it may compile what the others load."""
    context = multiprocessing.get_context("spawn")
    pipes: list[Connection] = []
    members = []
    try:
        with threads_of_children(threads):
            for number in range(processes):
                ours, theirs = context.Pipe()
                process = context.Process(
                    target=_serve,
                    args=(theirs, dict(makers), number, threads, lanes),
                    daemon=True,
                )
                process.start()
                theirs.close()
                pipes.append(ours)
                members.append(process)
                if number == 0:
                    _heard(ours)
        for pipe in pipes[1:]:
            _heard(pipe)
        yield pipes
    finally:
        for pipe in pipes:
            with suppress(OSError):
                pipe.send(None)
            pipe.close()
        for member in members:
            member.join(3.0)
            if member.is_alive():
                member.kill()
                member.join()


def _heard(pipe: Connection) -> dict[str, Any]:
    """The next message of a process."""
    try:
        kind, content = pipe.recv()
    except (EOFError, OSError) as error:
        raise ForgeError("a process of the bench ended without a word.") from error
    if kind == "failed":
        raise ForgeError(content)
    said: dict[str, Any] = content
    return said


def _serve(
    pipe: Connection, makers: dict[str, Maker], number: int, threads: int, lanes: int
) -> None:
    """The life of one process."""
    import cv2

    cv2.setNumThreads(threads)
    with suppress(KeyboardInterrupt, BrokenPipeError, EOFError, ConnectionResetError):
        try:
            steps = {name: maker() for name, maker in makers.items()}
            for step in steps.values():
                step(0)
            pipe.send(("ready", {}))
            while (asked := pipe.recv()) is not None:
                name, seconds, pictures = asked
                cpu = process_time()
                timed = partial(_timed, steps[name], seconds, pictures)
                said = _side_by_side(timed, [number * lanes + lane for lane in range(lanes)])
                said[0]["cpu"] = process_time() - cpu  # of all lanes, in one of them
                pipe.send(("done", {"lanes": said}))
        except ForgeError as error:
            pipe.send(("failed", str(error)))
        except Exception as error:  # noqa: BLE001 - told to the parent, which tells the user
            last = traceback.extract_tb(error.__traceback__)[-1].name
            pipe.send(("failed", f"{type(error).__name__} in {last}: {error}"))


def _side_by_side(
    timed: Callable[[int], dict[str, Any]], numbers: list[int]
) -> list[dict[str, Any]]:
    """What each lane did, in a thread of its own; the only one in this."""
    if len(numbers) == 1:
        return [timed(numbers[0])]
    with ThreadPoolExecutor(len(numbers)) as executor:
        return list(executor.map(timed, numbers))


def _timed(step: Step, seconds: float, pictures: int, number: int) -> dict[str, Any]:
    """Rounds through the pictures until the time is over, one at least.

    Lanes begin at different pictures.
    """
    stages: Counter[str] = Counter()
    steps, images, start = 0, 0, perf_counter()
    while True:
        spent = dict(step((number * 7 + steps) % pictures))
        images += int(spent.pop("images", 1))
        stages.update(spent)
        steps += 1
        wall = perf_counter() - start
        if wall >= seconds and steps % pictures == 0:
            return {"images": images, "wall": wall, "cpu": 0.0, "stages": stages}
