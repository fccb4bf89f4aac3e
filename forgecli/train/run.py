"""A run from its settings to its report: everything is checked, then made, then trained."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import torch

from forgecli.cases.split import write_split
from forgecli.errors import ForgeError, UsageError
from forgecli.stop import StopSignals
from forgecli.train.devices import (
    Crew,
    check_precision,
    crew_of,
    device_of,
    make_deterministic,
    set_threads,
)
from forgecli.train.distributed import World, together, world_of
from forgecli.train.ema import Average
from forgecli.train.folder import RunFolder
from forgecli.train.keeper import RunKeeper
from forgecli.train.loader import make_loader
from forgecli.train.loop import Loop
from forgecli.train.losses import build_loss
from forgecli.train.networks import build_network, network_arguments, placed
from forgecli.train.optimiser import build_optimiser
from forgecli.train.partition import Sides, read_sides
from forgecli.train.presets import TrainSettings
from forgecli.train.progress import Limits
from forgecli.train.report import Report
from forgecli.train.resume import binding, check_same
from forgecli.train.schedule import Schedule
from forgecli.train.start import start_from
from forgecli.train.state import load_state
from forgecli.train.step import Stepper, StepSettings
from forgecli.train.validation import Validator, some_of
from forgecli.train.voice import Mute, Voice
from forgecli.train.watchers import Watcher


def train(
    settings: TrainSettings,
    folder: Path,
    *,
    resume: bool = False,
    overwrite: bool = False,
    environment: Mapping[str, str],
    voice: Voice,
    watcher: Watcher,
) -> Report:
    """Train a network.

    Args:
        settings: all tables.
        folder: where the files of the run go.
        resume: go on with the run that is there.
        overwrite: replace the run that is there.
        environment: tells whether torchrun started this process, and as which.
        voice, watcher: what the user is told; of the first process only.

    Raises:
        UsageError: something that was asked for cannot be. Nothing was trained then.
        ForgeError: the loss is no number any more, memory is used up, or weights cannot be had.
        OutputError: something cannot be written.
    """
    loop = settings.loop
    world = world_of(environment)
    device = device_of(loop.device, world)
    check_precision(loop.precision, device)
    if not world.first:
        voice, watcher = Mute(), Watcher()
    files = RunFolder(folder)
    if settings.data.folder is None:  # before a folder is made
        raise UsageError("no data set is named.", mend="pass --data, or set folder in [data]")
    data = settings.data
    for place in (data.folder, data.validation_folder, data.split, data.cases):
        if place is not None and not place.exists():
            raise UsageError("is not there.", file=place, mend="check --data and [data]")
    if world.first:
        files.check(resume=resume, overwrite=overwrite)
    criterion = _criterion(settings)
    crew = crew_of(loop.workers, loop.threads, device, world)
    set_threads(crew.threads)
    make_deterministic(device, asked=loop.deterministic)
    torch.manual_seed(loop.seed)
    arguments = network_arguments(settings)
    network = build_network(settings, arguments, weights=not resume)

    with ExitStack() as stack:
        stop = stack.enter_context(StopSignals(lambda: voice.note("stopping after this step")))
        stack.enter_context(together(world, device))
        with stop.at_once():
            sides = _read(settings, files, world, voice)
        document: dict[str, Any] | None = None
        if resume:
            tensors, document = load_state(files.state)
        elif settings.model.init_from:
            fitted = start_from(network, Path(settings.model.init_from))
            voice.note(
                f"{fitted.tensors} of the network's {fitted.own} tensors start from "
                f"{settings.model.init_from}, which has {fitted.given}"
            )
        network = placed(network, device, channels_last=loop.channels_last)
        average = Average(network, loop.ema) if loop.ema else None
        optimiser = build_optimiser(network, settings.optimiser)
        schedule = Schedule(settings.schedule, settings.optimiser.lr)
        stepping = StepSettings(
            loop.precision, settings.optimiser.clip, loop.channels_last, loop.seed
        )
        stepper = Stepper(network, criterion, optimiser, device, stepping, world)
        loader = make_loader(
            sides.train,
            settings.data,
            settings.augment,
            settings.data.preprocess,
            batch=loop.batch,
            seed=loop.seed,
            workers=crew.workers,
            rank=world.rank,
            world=world.size,
            pin=device.type == "cuda",
        )
        stack.callback(loader.close)
        steps = -(-len(loader) // loop.accumulate)
        facts = {
            "settings": binding(settings.tables()),
            "split": sides.split.hash,
            "processes": world.size,
            "steps_per_epoch": steps,
        }
        keeper = RunKeeper(
            files,
            settings.model.name,
            arguments,
            settings.data.preprocess,
            sides.split.hash,
            _for_card(settings, device, world),
            facts,
        )
        validator = Validator(
            some_of([item.case for item in sides.validation], settings.validation.images,
                    settings.data.split_seed),
            settings.data.preprocess,
            settings.validation,
            device,
            loop.precision,
            world,
            settings.data.max_pixels,
            voice.warn,
        )  # fmt: skip
        run = Loop(
            network,
            average,
            stepper,
            optimiser,
            schedule,
            loader.epoch,
            loop.accumulate,
            validator,
            keeper,
            watcher,
            stop,
            _limits(settings, steps),
            world,
        )
        if document is not None:
            _restore(run, tensors, document, facts, files)
        if world.first:
            if not resume:
                files.clear()
            files.write_config(settings.toml())
            write_split(files.split, sides.split)
        parameters = sum(parameter.numel() for parameter in network.parameters())
        voice.note(_opening(settings, sides, parameters, device, crew, world, steps))
        progress = run.run()
    return Report(
        files,
        progress,
        parameters,
        str(device),
        loop.precision,
        settings.validation.by,
        loop.patience,
        len(sides.train),
        len(validator.cases),
        world.first,
    )


def _criterion(settings: TrainSettings) -> Any:
    loss = settings.loss
    return build_loss(
        loss.weights,
        alpha=loss.alpha,
        beta=loss.beta,
        gamma=loss.gamma,
        balance=loss.balance or None,
        tversky_gamma=loss.tversky_gamma,
        smooth=loss.smooth,
    )


def _read(settings: TrainSettings, files: RunFolder, world: World, voice: Voice) -> Sides:
    """The data. The first process reads it; the others then find in a file what it read."""
    if world.first:
        sides = read_sides(settings.data, cache=files.folder, workers=2)
    world.wait()
    if not world.first:
        sides = read_sides(settings.data, cache=files.folder)
    for line in sides.lines:
        voice.warn(line)
    return sides


def _limits(settings: TrainSettings, steps: int) -> Limits:
    loop = settings.loop
    return Limits(
        epochs=loop.epochs,
        steps=steps,
        seconds=loop.minutes * 60 or float("inf"),
        patience=loop.patience,
        every=settings.validation.every,
    )


def _restore(
    run: Loop,
    tensors: dict[str, Any],
    document: dict[str, Any],
    facts: Mapping[str, Any],
    files: RunFolder,
) -> None:
    check_same(facts, document)
    try:
        run.restore(tensors, document)
    except (ValueError, KeyError, TypeError, RuntimeError) as error:
        raise ForgeError(
            f"is not the state of this run: {str(error).splitlines()[0]}",
            file=files.state,
            mend="go on with the forge that wrote it, or start anew",
        ) from error


def _for_card(settings: TrainSettings, device: torch.device, world: World) -> dict[str, Any]:
    """The settings without what tells of places on this machine."""
    tables = settings.tables()
    for key in ("folder", "validation_folder", "split", "cases"):
        del tables["data"][key]
    weights = settings.model.encoder_weights
    tables["model"]["encoder_weights"] = weights if weights in ("imagenet", "none") else "file"
    tables["model"]["init_from"] = bool(settings.model.init_from)
    tables["loop"] |= {"device": device.type, "processes": world.size}
    return tables


def _opening(
    settings: TrainSettings,
    sides: Sides,
    parameters: int,
    device: torch.device,
    crew: Crew,
    world: World,
    steps: int,
) -> str:
    processes = f" in {world.size} processes" if world.size > 1 else ""
    forged = sum(item.forged for item in sides.train)
    return (
        f"{settings.model.name}, {parameters / 1e6:.2f} M parameters, on {device}{processes} "
        f"({settings.loop.precision}, {crew.threads} threads, {crew.workers} loading data); "
        f"{len(sides.train)} images to train on ({forged} forged), {len(sides.validation)} to "
        f"validate on; {steps} steps an epoch"
    )
