"""The loop: when it ends, what it keeps, that the same seed gives the same weights."""

from __future__ import annotations

import itertools

import pytest
import torch
from torch import nn

from forgecli.errors import ForgeError
from forgecli.segment.batch import Batch
from forgecli.segment.models.network import Network
from forgecli.train.progress import Limits
from forgecli.train.schedule import Schedule
from forgecli.train.settings import OptimiserSettings, ScheduleSettings
from forgecli.train.step import StepSettings
from forgecli.train.validation import Validation
from tests.train.runs import FakeStop, Tiny, batches, figures, make_loop, same

LIMITS = Limits(epochs=3, steps=4)


def weights(network: nn.Module) -> dict[str, torch.Tensor]:
    return {name: value.clone() for name, value in network.state_dict().items()}


def test_two_runs_give_the_same_weights_bit_for_bit() -> None:
    runs = [make_loop(LIMITS) for _ in range(2)]
    before = weights(runs[0].network)
    for made in runs:
        made.loop.run()
    assert same(*[weights(made.network) for made in runs])
    assert same(runs[0].keeper.weights, runs[1].keeper.weights)
    assert not same(before, weights(runs[0].network))


def test_another_seed_gives_other_weights() -> None:
    """Through dropout alone: the data and the first weights are the same."""
    runs = [make_loop(LIMITS, stepping=StepSettings(seed=seed)) for seed in (1, 2)]
    for made in runs:
        made.loop.run()
    assert not same(*[weights(made.network) for made in runs])


def test_the_loss_falls() -> None:
    made = make_loop(Limits(epochs=8, steps=4), network=Tiny(dropout=0.0))
    made.loop.run()
    losses = [row["loss"] for row in made.watcher.rows]
    assert len(losses) == 8 and losses[-1] < 0.7 * losses[0]


def test_the_loss_of_an_epoch_is_the_mean_over_its_steps() -> None:
    made = make_loop(Limits(epochs=1, steps=3), network=Tiny(dropout=0.0, norm=False),
                     optimiser=OptimiserSettings(name="sgd", lr=1e-30))  # fmt: skip
    criterion = nn.functional.binary_cross_entropy_with_logits
    with torch.no_grad():
        values = [
            criterion(made.network(batch.images), batch.masks).item() for batch in batches(3)(0, 0)
        ]
    made.loop.run()
    assert made.watcher.rows[0]["loss"] == pytest.approx(sum(values) / 3, rel=1e-6)


def test_accumulated_batches_are_one_large_batch() -> None:
    """Where nothing depends on the batch, four halves give the step of two wholes."""
    ways = []
    for size, accumulate in ((4, 1), (2, 2)):
        loader = batches(4, size=4)

        def halves(epoch: int, start: int, size: int = size, loader=loader):  # type: ignore[no-untyped-def]
            for batch in loader(epoch, 0):
                for at in range(0, 4, size):
                    part = slice(at, at + size)
                    yield type(batch)(batch.images[part], batch.masks[part],
                                      batch.instances[part], batch.case_ids[part])  # fmt: skip

        made = make_loop(Limits(epochs=1, steps=4), network=Tiny(dropout=0.0, norm=False),
                         loader=halves, accumulate=accumulate)  # fmt: skip
        made.loop.run()
        assert made.loop.progress.images == 16
        ways.append(weights(made.network))
    for name, value in ways[0].items():
        torch.testing.assert_close(value, ways[1][name], rtol=1e-4, atol=1e-6)


def test_gradients_are_clipped() -> None:
    steps = {}
    for clip in (0.0, 1e-3):
        made = make_loop(Limits(epochs=1, steps=1), network=Tiny(dropout=0.0), ema=0.0,
                         optimiser=OptimiserSettings(name="sgd", lr=1.0, momentum=0.0,
                                                     weight_decay=0.0),
                         schedule=ScheduleSettings(name="constant", warmup=0),
                         stepping=StepSettings(clip=clip))  # fmt: skip
        before = weights(made.network)
        made.loop.run()
        moved = [(made.network.state_dict()[name] - before[name]).square().sum()
                 for name, _ in made.network.named_parameters()]  # fmt: skip
        steps[clip] = float(sum(moved)) ** 0.5
    assert steps[1e-3] == pytest.approx(1e-3, rel=1e-2) and steps[0.0] > 1e-2


def test_the_average_lags_behind_the_weights() -> None:
    made = make_loop(Limits(epochs=1, steps=2), ema=0.9)
    first = made.network.first.weight.detach().clone()  # type: ignore[union-attr]
    seen = []
    step = made.loop._stepper.step

    def spy(group, number):  # type: ignore[no-untyped-def]
        loss = step(group, number)
        seen.append(made.network.first.weight.detach().clone())  # type: ignore[union-attr]
        return loss

    made.loop._stepper.step = spy  # type: ignore[method-assign]
    made.loop.run()
    after_one = first * (2 / 11) + seen[0] * (9 / 11)
    after_two = after_one * (3 / 12) + seen[1] * (9 / 12)
    torch.testing.assert_close(made.keeper.weights["first.weight"], after_two)


def test_the_best_weights_are_kept_and_training_stops_early() -> None:
    values = iter([0.5, 0.8, 0.7, 0.6, 0.9])
    seen: list[dict[str, torch.Tensor]] = []

    def validate(network: Network) -> Validation:
        seen.append(weights(network))
        return figures(next(values))

    made = make_loop(Limits(epochs=9, steps=2, patience=2), validate=validate)
    progress = made.loop.run()
    assert progress.ended == "early" and progress.epoch == 4
    assert progress.best_epoch == 2 and progress.best == [0.8, 0.0]
    assert same(made.keeper.best, seen[1]) and not same(made.keeper.best, seen[3])
    assert made.keeper.kept == [True, True, False, False]


def test_of_validations_that_are_alike_the_last_is_kept_but_patience_ends() -> None:
    """Nothing is found in the first epochs, and the weights of the first would stay for good."""
    made = make_loop(Limits(epochs=9, steps=2, patience=3), validate=lambda n: figures(0.5))
    progress = made.loop.run()
    assert progress.ended == "early" and progress.best_epoch == progress.epoch == 4


def test_ties_of_the_figure_are_broken_by_dice() -> None:
    values = iter([(0.5, 0.2), (0.5, 0.4), (0.5, 0.3)])
    made = make_loop(Limits(epochs=3, steps=1), validate=lambda n: figures(*next(values)))
    assert made.loop.run().best_epoch == 2


def test_validation_is_every_few_epochs_and_at_the_end() -> None:
    made = make_loop(Limits(epochs=5, steps=1, every=2))
    made.loop.run()
    assert ["metric" in row for row in made.watcher.rows] == [False, True, False, True, True]
    assert len(made.keeper.kept) == 5


@pytest.mark.parametrize(("seconds", "steps"), [(10.5, 6), (1e-9, 1)])
def test_time_ends_training_and_it_is_validated_then(seconds: float, steps: int) -> None:
    ticks = itertools.count()
    made = make_loop(Limits(epochs=9, steps=100, seconds=seconds), now=lambda: next(ticks) * 0.5)
    progress = made.loop.run()
    assert progress.ended == "minutes" and progress.validated == progress.steps
    assert 1 <= progress.steps <= steps
    assert len(made.watcher.rows) == 1 and "metric" in made.watcher.rows[0]
    again = progress.steps
    made.loop.run()
    assert made.loop.progress.steps == again, "the time of all sessions counts"


def test_a_cosine_ends_with_the_time() -> None:
    """Of 9,000 steps there is time for some 20; the rate has fallen to its floor by then."""
    clock = itertools.count()
    made = make_loop(Limits(epochs=9, steps=1000, seconds=100), now=lambda: next(clock) * 1.0,
                     schedule=ScheduleSettings(warmup=0, floor=0))  # fmt: skip
    progress = made.loop.run()
    assert progress.steps < 40 and progress.lr < 0.05 * 0.05


def test_no_number_as_loss_ends_the_run_and_keeps_what_was_kept() -> None:
    made = make_loop(Limits(epochs=3, steps=4), loader=batches(4, poisoned=1))
    with pytest.raises(ForgeError, match="no number") as caught:
        made.loop.run()
    assert "crops of 1-1-0, 1-1-1" in caught.value.what and "--lr" in caught.value.mend
    assert len(made.keeper.kept) == 1, "that of the first epoch"
    assert all(torch.isfinite(value).all() for value in made.keeper.weights.values())


def test_no_number_in_the_last_step_is_seen_before_it_is_kept() -> None:
    made = make_loop(Limits(epochs=2, steps=4), loader=batches(4, poisoned=3))
    with pytest.raises(ForgeError, match="no number"):
        made.loop.run()
    assert len(made.keeper.kept) == 1


def test_data_that_ends_too_early_is_an_error() -> None:
    made = make_loop(Limits(epochs=1, steps=5), loader=batches(4))
    with pytest.raises(ForgeError, match="too early"):
        made.loop.run()


@pytest.mark.parametrize("precision", ["bf16", "fp16"])
def test_lower_precision_trains(precision: str) -> None:
    made = make_loop(Limits(epochs=6, steps=4), network=Tiny(dropout=0.0),
                     stepping=StepSettings(precision=precision))  # type: ignore[arg-type] # fmt: skip
    made.loop.run()
    losses = [row["loss"] for row in made.watcher.rows]
    assert losses[-1] < losses[0]
    assert made.network.first.weight.dtype == torch.float32  # type: ignore[union-attr]


def test_a_signal_in_a_validation_ends_the_run_at_once() -> None:
    stop = FakeStop()
    stop.raises = True
    made = make_loop(LIMITS, stop=stop)
    progress = made.loop.run()
    assert progress.ended == "interrupted" and not made.watcher.rows
    assert made.keeper.state is not None and progress.position == LIMITS.steps


def test_memory_errors_say_what_to_do() -> None:
    class Greedy(Tiny):
        def forward(self, images: torch.Tensor) -> torch.Tensor:
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 20 GiB")

    made = make_loop(LIMITS, network=Greedy())
    with pytest.raises(ForgeError, match="memory of cpu") as caught:
        made.loop.run()
    assert "--batch" in caught.value.mend


def test_plateau_lowers_the_rate_to_the_floor() -> None:
    schedule = Schedule(
        ScheduleSettings(name="plateau", warmup=0, factor=0.5, patience=2, floor=1e-4), lr=1e-3
    )
    factors = []
    for figure in (0.5, 0.6, 0.6, 0.6, 0.6, 0.7, 0.1, 0.1, 0.1, 0, 0, 0, 0, 0, 0):
        schedule.validated((figure,))
        factors.append(schedule.factor(0, 0.0))
    # Two validations without a better figure, and it falls.
    assert factors[:7] == [1, 1, 1, 0.5, 0.5, 0.5, 0.5]
    assert factors[7] == 0.25 and factors[9] == 0.125
    assert factors[-1] == pytest.approx(0.1), "the floor"


def test_warmup_rises_in_a_line() -> None:
    schedule = Schedule(ScheduleSettings(name="constant", warmup=4), lr=1.0)
    assert [schedule.factor(step, 0.0) for step in range(6)] == [0.25, 0.5, 0.75, 1, 1, 1]


def test_warmup_is_no_longer_than_a_tenth_of_the_run() -> None:
    schedule = Schedule(ScheduleSettings(name="constant", warmup=1000), lr=1.0)
    assert schedule.factor(0, 0.0) == 0.001
    assert [schedule.factor(10, done) for done in (0.05, 0.1, 0.5)] == [0.5, 1, 1]


def test_cosine_has_the_values_of_the_paper() -> None:
    schedule = Schedule(ScheduleSettings(warmup=0, floor=0.1), lr=1.0)
    values = [schedule.factor(0, done) for done in (0.0, 0.5, 1.0, 1.5)]
    assert values == pytest.approx([1.0, 0.55, 0.1, 0.1])


def test_stop_is_asked_after_every_step() -> None:
    made = make_loop(LIMITS, stop=FakeStop(after=2))
    progress = made.loop.run()
    assert progress.ended == "interrupted" and progress.steps == 2
    assert made.keeper.kept == [False]


def test_networks_with_a_loss_of_their_own_use_it() -> None:
    class Own(Tiny):
        def loss(self, batch: Batch, criterion: object) -> torch.Tensor:
            return (self(batch.images) - 2).square().mean()

    def never(logits: torch.Tensor, masks: torch.Tensor) -> torch.Tensor:
        raise AssertionError("not this one")

    made = make_loop(Limits(epochs=4, steps=4), network=Own(dropout=0.0), criterion=never)
    made.loop.run()
    losses = [row["loss"] for row in made.watcher.rows]
    assert losses[-1] < losses[0] / 2
