"""A run that was interrupted anywhere ends in the weights of one that was not."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from forgecli.errors import ForgeError, UsageError
from forgecli.segment.checkpoint import plain_tensors
from forgecli.segment.models.network import Network
from forgecli.train.progress import Limits
from forgecli.train.resume import binding, check_same
from forgecli.train.settings import OptimiserSettings, ScheduleSettings
from forgecli.train.state import load_state, part, save_state
from forgecli.train.step import StepSettings
from forgecli.train.validation import Validation
from tests.train.runs import FakeStop, Made, figures, make_loop, same

LIMITS = Limits(epochs=3, steps=4, patience=5)


def falling() -> object:
    """Figures that make a plateau's rate fall, by what the network is: no hidden state."""

    def validate(network: Network) -> Validation:
        total = sum(float(value.double().sum()) for value in network.state_dict().values())
        return figures(-abs(total))

    return validate


VARIANTS = {
    "adamw, cosine": {},
    "sgd, plateau": {
        "optimiser": OptimiserSettings(name="sgd", lr=0.1),
        "schedule": ScheduleSettings(name="plateau", patience=1, warmup=3),
    },
    "no average": {"ema": 0.0},
    "accumulating": {"accumulate": 2},
    "fp16": {"stepping": StepSettings(precision="fp16", clip=1.0)},
}


def through_disk(made: Made, file: Path) -> tuple[dict[str, torch.Tensor], dict[str, object]]:
    assert made.keeper.state is not None
    save_state(file, *made.keeper.state)
    return load_state(file)


@pytest.mark.parametrize("variant", VARIANTS)
@pytest.mark.parametrize("after", [1, 4, 6, 8, 11])
def test_an_interrupted_run_ends_in_the_same_weights(
    variant: str, after: int, tmp_path: Path
) -> None:
    options: dict[str, object] = {"validate": falling(), **VARIANTS[variant]}
    whole = make_loop(LIMITS, **options)  # type: ignore[arg-type]
    whole.loop.run()

    first = make_loop(LIMITS, stop=FakeStop(after), **options)  # type: ignore[arg-type]
    assert first.loop.run().ended == "interrupted"
    second = make_loop(LIMITS, **options)  # type: ignore[arg-type]
    torch.manual_seed(999)  # whatever the generator is at
    second.loop.restore(*through_disk(first, tmp_path / "s.safetensors"))
    assert second.loop.run().ended == "epochs"

    assert whole.keeper.state is not None and second.keeper.state is not None
    assert same(whole.keeper.state[0], second.keeper.state[0])
    assert same(whole.keeper.weights, second.keeper.weights)
    mine, theirs = second.loop.progress, whole.loop.progress
    assert (mine.best, mine.best_epoch, mine.stale) == (
        theirs.best,
        theirs.best_epoch,
        theirs.stale,
    )
    assert [row["loss"] for row in mine.history] == [row["loss"] for row in theirs.history]
    for key in ("schedule", "scaler", "optimiser", "updates"):
        assert whole.keeper.state[1][key] == second.keeper.state[1][key]


def test_an_interruption_in_a_validation_is_made_good(tmp_path: Path) -> None:
    whole = make_loop(LIMITS)
    whole.loop.run()
    stop = FakeStop()
    stop.raises = True
    first = make_loop(LIMITS, stop=stop)
    first.loop.run()
    second = make_loop(LIMITS)
    second.loop.restore(*through_disk(first, tmp_path / "s.safetensors"))
    second.loop.run()
    assert same(whole.keeper.weights, second.keeper.weights)
    assert [row["epoch"] for row in second.loop.progress.history] == [1, 2, 3]


def test_a_finished_run_goes_on_with_more_epochs(tmp_path: Path) -> None:
    options = {"schedule": ScheduleSettings(name="constant", warmup=0)}
    whole = make_loop(Limits(epochs=4, steps=3), **options)  # type: ignore[arg-type]
    whole.loop.run()
    first = make_loop(Limits(epochs=2, steps=3), **options)  # type: ignore[arg-type]
    first.loop.run()
    second = make_loop(Limits(epochs=4, steps=3), **options)  # type: ignore[arg-type]
    second.loop.restore(*through_disk(first, tmp_path / "s.safetensors"))
    second.loop.run()
    assert same(whole.keeper.weights, second.keeper.weights)
    again = make_loop(Limits(epochs=2, steps=3), **options)  # type: ignore[arg-type]
    again.loop.restore(*through_disk(first, tmp_path / "s.safetensors"))
    assert again.loop.run().steps == 6, "a run that is over stays so"


def test_the_state_of_another_network_is_refused(tmp_path: Path) -> None:
    first = make_loop(LIMITS)
    first.loop.run()
    tensors, document = through_disk(first, tmp_path / "s.safetensors")
    tensors["optimiser.0.exp_avg"] = torch.zeros(5)
    with pytest.raises(ValueError, match="exp_avg of parameter 0"):
        make_loop(LIMITS).loop.restore(tensors, document)


@settings(max_examples=30, deadline=None)
@given(
    st.dictionaries(st.text(min_size=1, max_size=5), st.lists(st.integers(0, 4), max_size=3)),
    st.dictionaries(st.text(), st.floats(allow_nan=False, allow_infinity=False) | st.text()),
)
def test_a_state_is_read_back_as_it_was(
    tmp_path_factory: pytest.TempPathFactory,
    shapes: dict[str, list[int]],
    document: dict[str, object],
) -> None:
    file = tmp_path_factory.mktemp("state") / "s.safetensors"
    document.pop("format", None)
    tensors = {name: torch.rand(shape) for name, shape in shapes.items() if name != "__metadata__"}
    save_state(file, tensors, document)
    read, told = load_state(file)
    assert same(tensors, read) and told == document


def test_tensors_that_share_memory_are_all_written() -> None:
    whole = torch.arange(12.0)
    given = {"a": whole, "b": whole, "c": whole[3:7], "d": whole.view(3, 4).t()}
    plain = plain_tensors(given)
    assert same(plain, given)
    assert len({value.untyped_storage().data_ptr() for value in plain.values()}) == 4


def test_a_state_that_is_not_there_or_not_one(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="cannot be read"):
        load_state(tmp_path / "none.safetensors")
    (tmp_path / "bad.safetensors").write_bytes(b"not this")
    with pytest.raises(ForgeError, match="damaged"):
        load_state(tmp_path / "bad.safetensors")
    from safetensors.torch import save_file

    save_file({"a": torch.zeros(2)}, tmp_path / "other.safetensors")
    with pytest.raises(ForgeError, match="not the state"):
        load_state(tmp_path / "other.safetensors")


def test_parts_are_told_apart() -> None:
    one = torch.zeros(1)
    assert part({"a.b.c": one, "ab.c": one, "a.d": one}, "a").keys() == {"b.c", "d"}


def test_settings_that_bind_are_compared() -> None:
    tables = {"loop": {"epochs": 3, "seed": 1}, "data": {"folder": "x", "size": 64}}
    before = {"settings": binding(tables), "processes": 1, "split": "abc"}
    free = {"loop": {"epochs": 9, "seed": 1}, "data": {"folder": "y", "size": 64}}
    check_same({**before, "settings": binding(free)}, before)
    other = {"loop": {"epochs": 3, "seed": 2}, "data": {"folder": "x", "size": 64}}
    with pytest.raises(UsageError, match=r"\[loop\] seed = 1, not 2"):
        check_same({**before, "settings": binding(other)}, before)
    with pytest.raises(UsageError, match="1 processes, not 2"):
        check_same({**before, "processes": 2}, before)
    with pytest.raises(UsageError, match="data set is not what it was"):
        check_same({**before, "split": "abd"}, before)
