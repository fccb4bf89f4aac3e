"""The training loop: epochs, validations, and a state that can be gone on with after every step."""

from __future__ import annotations

import dataclasses
import math
import time
from collections.abc import Callable, Mapping
from contextlib import nullcontext
from itertools import islice
from typing import Any, Literal

import torch
from torch import Tensor
from torch.optim import Optimizer

from forgecli.errors import ForgeError
from forgecli.segment.batch import Batch
from forgecli.segment.models.network import Network
from forgecli.train.distributed import World
from forgecli.train.ema import Average
from forgecli.train.optimiser import optimiser_state, restore_optimiser, set_rates
from forgecli.train.progress import Limits, Progress
from forgecli.train.roles import Keeper, Loader, State, Stop, Watcher
from forgecli.train.schedule import Schedule
from forgecli.train.state import part
from forgecli.train.step import Stepper
from forgecli.train.validation import Validation


class Loop:
    """A run.

    Args:
        network: on its device.
        average: of its weights, which is then what is validated and kept; none: the weights are.
        stepper, optimiser, schedule: of this network.
        loader: the training data.
        accumulate: batches of a step.
        validate: figures of a network. All processes call it, and get the same figures.
        keeper, watcher: what is written and shown, in the first process; see there.
        stop: whether a signal came.
        limits: when to end.
        world: the processes.
        now: a clock, in seconds.

    Attributes:
        progress: how far it is.
    """

    def __init__(
        self,
        network: Network,
        average: Average | None,
        stepper: Stepper,
        optimiser: Optimizer,
        schedule: Schedule,
        loader: Loader,
        accumulate: int,
        validate: Callable[[Network], Validation],
        keeper: Keeper,
        watcher: Watcher,
        stop: Stop,
        limits: Limits,
        world: World,
        now: Callable[[], float] = time.monotonic,
    ) -> None:
        self.network = network
        self.progress = Progress()
        self._average = average
        self._stepper = stepper
        self._optimiser = optimiser
        self._schedule = schedule
        self._loader = loader
        self._accumulate = accumulate
        self._validate = validate
        self._keeper = keeper
        self._watcher = watcher
        self._stop = stop
        self._limits = limits
        self._world = world
        self._now = now
        self._started = now()
        self._before = 0.0

    def run(self) -> Progress:
        """Train until a limit is reached or a signal comes; then all is on disk.

        Raises:
            ForgeError: the loss is no number any more, or memory is used up. What was kept last
                stays.
            OutputError: something cannot be written.
        """
        progress = self.progress
        self._started, self._before = self._now(), progress.seconds
        try:
            while not (over := self._over()):
                if not self._train_epoch():  # the time is up
                    continue
                epoch = progress.epoch + 1
                last = epoch >= self._limits.epochs or progress.seconds >= self._limits.seconds
                if last or epoch % self._limits.every == 0:
                    self._judge()
                else:
                    self._finish_epoch({}, best=False)
            if progress.validated != progress.steps:
                self._judge()
            progress.ended = over
        except KeyboardInterrupt:  # from `_train_epoch` between two steps, or from a validation
            progress.ended = "interrupted"
            self._keep(best=False)
        if self._world.first:
            self._keeper.end(progress)
        return progress

    def _over(self) -> Literal["", "epochs", "minutes", "early"]:
        progress, limits = self.progress, self._limits
        if progress.epoch >= limits.epochs:
            return "epochs"
        if limits.patience and progress.stale >= limits.patience:
            return "early"
        waiting = progress.position >= limits.steps  # for the validation of a whole epoch
        return "minutes" if progress.seconds >= limits.seconds and not waiting else ""

    def _train_epoch(self) -> bool:
        """Steps up to the end of the epoch (true) or of the time (false).

        Raises:
            KeyboardInterrupt: a signal came. The step was finished.
        """
        progress, limits = self.progress, self._limits
        if progress.position >= limits.steps:
            return True
        batches = iter(self._loader(progress.epoch, progress.position * self._accumulate))
        self.network.train()
        before: tuple[Tensor, list[Batch]] | None = None
        while progress.position < limits.steps:
            begun = self._now()
            try:
                group = list(islice(batches, self._accumulate))
            except ForgeError:
                if self._stop.asked():  # the signal has ended the processes that read, too
                    raise KeyboardInterrupt from None
                raise
            waited = self._now() - begun
            if not group:
                raise ForgeError(f"the data of epoch {progress.epoch + 1} ended too early.")
            lr = set_rates(self._optimiser, self._schedule.factor(progress.steps, self._done()))
            loss = self._stepper.step(group, progress.steps)
            if self._average is not None:
                self._average.update(self.network)
            progress.position += 1
            progress.steps += 1
            progress.images += sum(len(batch.case_ids) for batch in group) * self._world.size
            progress.waiting += waited
            progress.lr = lr
            # Reading a loss waits for the device, so that of the step before is read meanwhile.
            suspects: list[Batch] = []
            if before is not None:
                suspects = self._count(before)
            before = loss, group
            if progress.position == limits.steps:
                suspects = self._count(before) or suspects
                before = None
            progress.training += self._now() - begun
            asked, broken, progress.seconds = self._world.agree(
                self._stop.asked(), bool(suspects), self._before + self._now() - self._started
            )
            stopping = asked or progress.seconds >= limits.seconds
            if stopping and before is not None:
                suspects = self._count(before) or suspects
                broken = self._world.any(bool(suspects)) or broken
            if broken:
                raise self._broken(suspects)
            self._watcher.step(progress, limits)
            if asked:
                raise KeyboardInterrupt
            if stopping:
                return progress.position >= limits.steps
        return True

    def _done(self) -> float:
        progress, limits = self.progress, self._limits
        return max(progress.steps / (limits.epochs * limits.steps),
                   progress.seconds / limits.seconds)  # fmt: skip

    def _count(self, step: tuple[Tensor, list[Batch]]) -> list[Batch]:
        """Take a step's loss into the epoch's; its batches if it is no number."""
        loss, group = step
        value = float(loss)
        self.progress.loss += value
        self.progress.losses += 1
        return [] if math.isfinite(value) else group

    def _broken(self, group: list[Batch]) -> ForgeError:
        progress = self.progress
        cases = sorted({case for batch in group for case in batch.case_ids})
        of = " (crops of " + ", ".join(cases[:4]) + (" ...)" if len(cases) > 4 else ")")
        return ForgeError(
            f"the loss is no number any more, near step {progress.steps} in epoch "
            f"{progress.epoch + 1}{of if cases else ''}.",
            mend="lower --lr, or train with --precision bf16 or fp32; the checkpoint of the last "
            "validation was kept",
        )

    def _judge(self) -> None:
        """Validate, and keep the weights if they are the best."""
        progress = self.progress
        shown = self._average.network if self._average is not None else self.network
        self._world.share(shown.state_dict())  # batch statistics differ between processes
        if not all(_finite(value) for value in self.network.state_dict().values()):
            raise self._broken([])
        if self._world.any(self._stop.asked()):
            raise KeyboardInterrupt
        self._watcher.validating()
        # Of several processes none may leave on its own: the others would wait for it.
        with self._stop.at_once() if self._world.size == 1 else nullcontext():
            validation = self._validate(shown)
        order = list(validation.order)
        better = progress.best is None or order > progress.best
        # Where all is alike, as at the start, where nothing is found yet, longer trained is better.
        best = better or order == progress.best
        if best:
            progress.best, progress.best_epoch = order, progress.epoch + 1
            progress.best_figures = dict(validation.figures)
        progress.stale = 0 if better else progress.stale + 1
        progress.figures = dict(validation.figures)
        progress.thresholds = dataclasses.asdict(validation.thresholds)
        progress.validated = progress.steps
        if self._schedule.validated(validation.order):
            self._watcher.note("the learning rate is lowered")
        if self._world.first:
            self._keeper.sample(progress.epoch + 1, validation)
        self._finish_epoch(validation.figures, best=best)

    def _finish_epoch(self, figures: Mapping[str, float], *, best: bool) -> None:
        """A row for the epoch, or for the part of it that there was time for; then keep all."""
        progress = self.progress
        [progress.loss] = self._world.mean(progress.loss)
        row = {
            "epoch": progress.epoch + 1,
            "step": progress.steps,
            "loss": progress.mean_loss,
            "lr": progress.lr,
            "seconds": round(progress.seconds, 3),
            "images_per_second": round(progress.rate, 3),
            "waiting": round(progress.waiting_share, 4),
            **figures,
        }
        progress.history.append(row)
        if progress.position >= self._limits.steps:
            progress.epoch, progress.position = progress.epoch + 1, 0
            progress.loss, progress.losses = 0.0, 0
        self._watcher.epoch(row, best=best)
        self._keep(best=best)

    def _keep(self, *, best: bool) -> None:
        [self.progress.loss] = self._world.mean(self.progress.loss)
        if self._world.first:
            shown = self._average.network if self._average is not None else self.network
            self._keeper.keep(shown, self.progress, self.state, best=best)

    def state(self) -> State:
        """Tensors and plain JSON values from which `restore` goes on."""
        tensors = {f"network.{name}": value for name, value in self.network.state_dict().items()}
        if self._average is not None:
            averaged = self._average.network.state_dict()
            tensors |= {f"average.{name}": value for name, value in averaged.items()}
        of_optimiser, plain = optimiser_state(self._optimiser)
        tensors |= {f"optimiser.{name}": value for name, value in of_optimiser.items()}
        return tensors, {
            "progress": self.progress.as_json(),
            "schedule": self._schedule.state(),
            "optimiser": plain,
            "updates": self._average.updates if self._average is not None else 0,
            "scaler": self._stepper.scaler.state_dict(),
        }

    def restore(self, tensors: dict[str, Tensor], document: dict[str, Any]) -> None:
        """Go on where a run of the same settings stopped.

        Raises:
            ValueError, KeyError, TypeError, RuntimeError: it is the state of another network or
                optimiser.
        """
        self.network.load_state_dict(part(tensors, "network"))
        if self._average is not None:
            self._average.network.load_state_dict(part(tensors, "average"))
            self._average.updates = document["updates"]
        restore_optimiser(self._optimiser, part(tensors, "optimiser"), document["optimiser"])
        self._schedule.restore(document["schedule"])
        if document["scaler"]:
            self._stepper.scaler.load_state_dict(document["scaler"])
        self.progress = Progress(**document["progress"])


def _finite(value: Tensor) -> bool:
    return not value.is_floating_point() or bool(torch.isfinite(value).all())
