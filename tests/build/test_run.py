"""From a checkpoint to files."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest

import forgecli
from engines.tensorrt_build import Built
from engines.tensorrt_library import TensorRtError
from forgecli.build import check, engine, files, limits, run
from forgecli.build.plan import BuildPlan
from forgecli.build.settings import BuildSettings
from forgecli.errors import ForgeError, UsageError
from forgecli.segment.checkpoint import Card, card_file, read_card, write_card
from forgecli.segment.onnx_file import card_inside, read_onnx_card, spec_of
from forgecli.segment.opening import open_engine
from forgecli.segment.thresholds import Thresholds
from tests.build.checkpoints import write_simple
from tests.tune.red_dataset import write_dataset

Build = Callable[..., run.Result]


class Listener:
    """What a user would read."""

    def __init__(self) -> None:
        self.notes: list[str] = []
        self.warnings: list[str] = []
        self.phases: list[str] = []

    def note(self, text: str) -> None:
        self.notes.append(text)

    def warn(self, text: str) -> None:
        self.warnings.append(text)

    def step(self, phase: str, done: int, of: int) -> None:
        if phase not in self.phases:
            self.phases.append(phase)


@pytest.fixture(scope="module", autouse=True)
def exports_once() -> Iterator[None]:
    """Weights that were exported before are not exported again: it takes seconds."""
    known: dict[str, Any] = {}
    export = run.export

    def cached(network: Any, plan: BuildPlan) -> Any:
        if plan.sha256 not in known:
            known[plan.sha256] = export(network, plan)
        return known[plan.sha256]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(run, "export", cached)
        yield


@pytest.fixture(scope="module")
def exported(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a checkpoint and its ONNX files."""
    weights = write_simple(tmp_path_factory.mktemp("run") / "best.safetensors")
    plan = BuildPlan.of(weights, BuildSettings(onnx_only=True))
    run.run(plan, Listener(), Listener().step)
    return weights.parent


@pytest.fixture
def folder(exported: Path, tmp_path: Path) -> Path:
    """The same, to be changed."""
    shutil.copytree(exported, tmp_path / "run")
    return tmp_path / "run"


def build(
    folder: Path, voice: Listener | None = None, *, overwrite: bool = False, **settings: Any
) -> run.Result:
    plan = BuildPlan.of(folder / "best.safetensors", BuildSettings(**settings), overwrite=overwrite)
    voice = voice or Listener()
    return run.run(plan, voice, voice.step)


def no_export(*arguments: Any) -> None:
    raise AssertionError("nothing is to be exported")


def tuned_itself(file: Path) -> Card:
    """The card of a file as `forge tune` leaves it."""
    tuning = {"weights": hashlib.sha256(file.read_bytes()).hexdigest()}
    return dataclasses.replace(read_card(file), thresholds=Thresholds(pixel=0.9), tuning=tuning)


def test_the_files_and_their_cards(exported: Path) -> None:
    assert sorted(file.name for file in exported.iterdir()) == [
        "best.fp16.json", "best.fp16.onnx", "best.json", "best.onnx", "best.safetensors",
    ]  # fmt: skip
    card = read_card(exported / "best.safetensors")
    assert card.built == {}, "the checkpoint's card is its own"
    for name, precision in (("best.onnx", "fp32"), ("best.fp16.onnx", "fp16")):
        inside = card_inside(exported / name)
        assert dataclasses.replace(inside, built={}) == card
        facts = inside.built["onnx"]
        spec = spec_of(inside, exported / name)
        assert (spec.channels, spec.multiple, spec.size, spec.outputs) == (3, 4, None, 1)
        assert (facts["precision"], facts["forge"]) == (precision, forgecli.__version__)
        assert facts["checks"]["logits"] <= limits.LOGITS
        assert set(facts["checks"]) == {
            "logits",
            "logits_share",
            "probability_torch",
            "probability",
            "probability_mean",
            "beyond",
        }
        assert facts["checks"]["beyond"] == []
        onnx.checker.check_model(onnx.load(exported / name), full_check=True)
    beside = read_card(exported / "best.fp16.onnx")
    assert beside == card_inside(exported / "best.fp16.onnx")


def test_they_run_and_say_what_the_checkpoint_says(exported: Path) -> None:
    images = check.drawn(spec_of(read_onnx_card(exported / "best.onnx"), exported))[1]
    expected = open_engine(exported / "best.safetensors")[0].infer(images)
    assert float(np.abs(expected).max()) > 0.5
    for name, tolerance in (("best.onnx", 1e-5), ("best.fp16.onnx", 0.02)):
        found, card = open_engine(exported / name)
        np.testing.assert_allclose(found.infer(images), expected, atol=tolerance, rtol=1e-3)
        assert card.thresholds == Thresholds(pixel=0.4, gate=0.3)


def test_files_of_the_same_checkpoint_stay_with_what_was_tuned_on_them(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    half = folder / "best.fp16.onnx"
    write_card(half, tuned_itself(half))
    before = {file: file.read_bytes() for file in folder.iterdir()}
    monkeypatch.setattr(run, "export", no_export)
    voice = Listener()
    result = build(folder, voice, onnx_only=True)
    assert [file.kept for file in result.onnx] == [True, True]
    assert result.onnx[1].card.thresholds.pixel == 0.9
    assert len(voice.notes) == 2
    assert {file: file.read_bytes() for file in folder.iterdir()} == before


@pytest.mark.parametrize("change", ["weights", "rubbish", "version", "precision"])
def test_other_files_are_not_replaced_unasked(
    folder: Path, change: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    if change == "weights":
        write_simple(folder / "best.safetensors", seed=1)
    elif change == "rubbish":
        (folder / "best.onnx").write_bytes(b"rubbish")
    elif change == "version":
        monkeypatch.setattr(forgecli, "__version__", "99")
    else:
        shutil.copy(folder / "best.fp16.onnx", folder / "best.onnx")
    monkeypatch.setattr(run, "export", no_export)
    with pytest.raises(UsageError, match="exists already, and is not an export of this checkpoint"):
        build(folder, onnx_only=True)


def test_another_folder_gets_the_card_too(exported: Path, tmp_path: Path) -> None:
    settings = BuildSettings(onnx_only=True, precision="fp32")
    plan = BuildPlan.of(exported / "best.safetensors", settings, folder=tmp_path / "out")
    voice = Listener()
    result = run.run(plan, voice, voice.step)
    assert sorted(file.name for file in (tmp_path / "out").iterdir()) == ["best.json", "best.onnx"]
    assert [file.precision for file in result.onnx] == ["fp32"]
    assert voice.phases == ["loading the checkpoint", "exporting", "checking FP32 against torch"]
    assert [finding.name for finding in result.findings] == [
        "logits",
        "logits_share",
        "probability_torch",
    ]
    again = (tmp_path / "out/best.onnx").read_bytes()
    model = onnx.load_from_string(again)
    inside = onnx.load(exported / "best.onnx")
    assert model.graph == inside.graph, "the same weights give the same graph"


def test_labelled_images_are_looked_at(folder: Path, tmp_path: Path) -> None:
    write_dataset(tmp_path / "data", 3)
    (tmp_path / "data/train_images/forged/1.png").write_bytes(b"rubbish")
    voice = Listener()
    result = build(folder, voice, onnx_only=True, check=tmp_path / "data", check_images=6)
    named = {finding.name: finding for finding in result.findings}
    assert {"score_fp32", "score_fp16", "score_lost", "flags_changed"} <= set(named)
    assert "on 5 images" in named["score_lost"].what
    assert voice.warnings == [
        "1 of 6 labelled images cannot be used: forge inspect says why",
        "the network flags none of the 5 labelled images, so the metric cannot show what FP16 "
        "costs: set its thresholds first with forge tune",
    ]


@pytest.mark.parametrize(
    ("limit", "said"),
    [("LOGITS", "FP32 against torch"), ("PROBABILITY", "FP16 against FP32: largest")],
)
def test_what_goes_beyond_a_limit_is_refused_unless_forced(
    exported: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, limit: str, said: str
) -> None:
    weights = Path(shutil.copy(exported / "best.safetensors", tmp_path))
    shutil.copy(exported / "best.json", tmp_path)
    monkeypatch.setattr(limits, limit, 0.0)
    with pytest.raises(ForgeError, match=said) as caught:
        build(tmp_path, onnx_only=True)
    assert "--force" in caught.value.mend
    assert sorted(file.name for file in tmp_path.iterdir()) == ["best.json", "best.safetensors"]
    voice = Listener()
    result = build(tmp_path, voice, onnx_only=True, force=True)
    assert all(file.file.exists() for file in result.onnx)
    assert len(voice.warnings) == 1 and said in voice.warnings[0]
    with pytest.raises(UsageError, match="in spite of its checks"):
        build(tmp_path, onnx_only=True)
    assert all(file.kept for file in build(tmp_path, onnx_only=True, force=True).onnx)
    assert weights.exists()


def test_an_overflow_is_refused_even_if_forced(tmp_path: Path) -> None:
    write_simple(tmp_path / "best.safetensors", gain=1e4, inner=100.0)
    with pytest.raises(ForgeError, match=r"in half precision.* not finite"):
        build(tmp_path, onnx_only=True, force=True)


@pytest.mark.parametrize(
    ("form", "said", "mend"),
    [("network", "network itself, by torch", "learning rate"), ("fp32", "exported", "export")],
)
def test_an_overflow_in_full_precision_is_not_laid_to_half(
    folder: Path, monkeypatch: pytest.MonkeyPatch, form: check.Form, said: str, mend: str
) -> None:
    def overflown(*_: Any, **__: Any) -> list[check.Finding]:
        return [check.Finding("logits", "difference", float("inf"), 1e-4, form)]

    (folder / "best.onnx").unlink()
    (folder / "best.fp16.onnx").unlink()
    monkeypatch.setattr(run, "against_torch", overflown)
    with pytest.raises(ForgeError, match=f"{said}.* not finite") as caught:
        build(folder, onnx_only=True, precision="fp32", force=True)
    assert caught.value.file == folder / "best.safetensors"
    assert mend in caught.value.mend and "--precision" not in caught.value.mend
    assert not (folder / "best.onnx").exists()


def test_labelled_images_on_which_nothing_is_flagged(folder: Path, tmp_path: Path) -> None:
    write_dataset(tmp_path / "data", 2)
    card = read_card(folder / "best.safetensors")
    quiet = dataclasses.replace(card, thresholds=Thresholds(gate=1.0))
    write_card(folder / "best.safetensors", quiet)
    voice = Listener()
    build(folder, voice, onnx_only=True, check=tmp_path / "data", check_images=4)
    (said,) = voice.warnings
    assert "the network flags none of the 4 labelled images" in said


def test_int8_without_its_images_exports_nothing(folder: Path, tmp_path: Path) -> None:
    for file in folder.glob("*.onnx"):
        file.unlink()
    asked = {"onnx_only": True, "precision": "int8"}
    with pytest.raises(UsageError, match="no such file or folder"):
        build(folder, check=tmp_path / "nowhere", **asked)
    write_dataset(tmp_path / "data", 1)
    (tmp_path / "data/train_images/forged/0.png").unlink()
    with pytest.raises(ForgeError, match="two at least") as raised:
        build(folder, check=tmp_path / "data", **asked)
    assert raised.value.file == tmp_path / "data"
    assert not list(folder.glob("*.onnx"))


def test_int8_is_made_of_the_fp32_file(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[Any] = []

    def quantise(*arguments: Any, **named: Any) -> str:
        asked.append((arguments, named))
        return "report"

    monkeypatch.setattr("forgecli.build.int8.quantise", quantise)
    monkeypatch.setattr("forgecli.build.int8.foresee", lambda dataset, images: None)
    settings = {"onnx_only": True, "precision": "int8", "check": folder, "check_images": 5}
    result = build(folder, force=True, tolerance=0.02, **settings)
    assert result.int8 == "report"
    ((source, dataset, target), named) = asked[0]
    assert (source, dataset) == (folder / "best.onnx", folder)
    assert target == folder / "best.int8.onnx"
    assert (named["images"], named["tolerance"], named["force"]) == (5, 0.02, True)


def test_engines_of_files_that_are_there_need_no_torch(
    folder: Path, player: Player, monkeypatch: pytest.MonkeyPatch
) -> None:
    def missing() -> None:
        raise UsageError("not installed")

    monkeypatch.setattr(run, "require_packages", missing)
    assert build(folder).engine is not None
    (folder / "best.fp16.onnx").unlink()
    with pytest.raises(UsageError, match="not installed"):
        build(folder)


# From here on: engines. What TensorRT does is tested in tests/engines; here it is played.

FACTS = {"flavor": "rtx", "version": "1.0", "capabilities": [89]}


MADE = {
    **FACTS,
    "seconds": 1.5,
    "plan_bytes": 4,
    "plan_sha256": hashlib.sha256(b"plan").hexdigest(),
}


class Player:
    """Plays TensorRT."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.asked: list[Any] = []
        self.sources: list[bytes] = []
        self.error: Exception | None = None
        monkeypatch.setattr("engines.tensorrt_build.planned", self._planned)
        monkeypatch.setattr("engines.tensorrt_build.build_engine", self._build)

    def _planned(self, options: Any) -> dict[str, Any]:
        if self.error is not None:
            raise self.error
        return dict(FACTS)

    def _build(self, source: bytes, options: Any, *, progress: Any) -> Built:
        self.asked.append(options)
        self.sources.append(source)
        progress("layers", 1, 2)
        return Built(b"plan", dict(MADE), "one layer", ("a note",))


@pytest.fixture
def player(monkeypatch: pytest.MonkeyPatch) -> Player:
    return Player(monkeypatch)


def test_an_engine_is_built_from_the_half_precision_file(folder: Path, player: Player) -> None:
    voice = Listener()
    result = build(folder, voice, batch=(1, 2, 4), optimisation=2, capability=(89,))
    assert result.engine is not None
    file = result.engine.file
    assert file.name.startswith("best.fp16.") and file.suffix == ".engine"
    assert file.read_bytes() == b"plan"
    assert player.sources == [(folder / "best.fp16.onnx").read_bytes()]
    (options,) = player.asked
    assert (options.batch, options.precision, options.capabilities) == ((1, 2, 4), "fp16", (89,))
    assert options.size == ((4, 4), (64, 64), (64, 64))
    assert (options.optimisation, options.timing_cache) == (2, None)
    card = read_card(file)
    assert card.built["engine"] == MADE
    assert card.built["onnx"]["precision"] == "fp16"
    assert card.thresholds == Thresholds(pixel=0.4, gate=0.3)
    assert (result.engine.layers, result.engine.notes) == ("one layer", ("a note",))
    assert "layers" in voice.phases


def test_an_engine_that_is_there_is_not_built_again(folder: Path, player: Player) -> None:
    first, second = build(folder).engine, build(folder).engine
    assert first is not None and second is not None
    assert (first.file, second.kept, len(player.asked)) == (second.file, True, 1)
    third = build(folder, batch=(1, 1, 1)).engine
    assert third is not None and third.file != first.file
    plan = BuildPlan.of(folder / "best.safetensors", BuildSettings())
    fourth = run.run(plan, Listener(), Listener().step, layers=True).engine
    assert fourth is not None and fourth.layers == "one layer"
    card_file(first.file).unlink()
    build(folder)
    assert len(player.asked) == 4


def test_a_damaged_engine_is_built_again(folder: Path, player: Player) -> None:
    first = build(folder).engine
    assert first is not None
    first.file.write_bytes(b"pla")
    second = build(folder).engine
    assert second is not None and not second.kept and first.file.read_bytes() == b"plan"


def test_thresholds_of_the_checkpoint_reach_files_that_stay(folder: Path, player: Player) -> None:
    """Tuning the checkpoint after its files were made must not leave them as they were."""
    first = build(folder).engine
    assert first is not None
    weights = folder / "best.safetensors"
    now = dataclasses.replace(
        read_card(weights), thresholds=Thresholds(pixel=0.7), tuning={"weights": "its own"}
    )
    write_card(weights, now)
    result = build(folder)
    assert result.engine is not None and result.engine.kept
    for file in (folder / "best.onnx", folder / "best.fp16.onnx", first.file):
        card = read_card(file)
        assert (card.thresholds, card.tuning) == (now.thresholds, now.tuning), file
    assert first.file.read_bytes() == b"plan"


def test_fp32_engines_are_built_from_the_fp32_file(folder: Path, player: Player) -> None:
    result = build(folder, precision="fp32")
    assert player.sources == [(folder / "best.onnx").read_bytes()]
    assert result.engine is not None
    assert read_card(result.engine.file).built["onnx"]["precision"] == "fp32"


def test_thresholds_tuned_on_the_onnx_go_into_the_engine(folder: Path, player: Player) -> None:
    half = folder / "best.fp16.onnx"
    write_card(half, tuned_itself(half))
    result = build(folder)
    assert result.engine is not None
    assert read_card(result.engine.file).thresholds.pixel == 0.9


def test_the_data_centre_library_keeps_its_timings(
    folder: Path, player: Player, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setitem(FACTS, "flavor", "tensorrt")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    build(folder)
    build(folder, batch=(1, 1, 1), timing_cache=tmp_path / "mine")
    caches = [options.timing_cache for options in player.asked]
    assert caches == [tmp_path / "cache/forge/tensorrt/timings", tmp_path / "mine"]
    monkeypatch.setenv("XDG_CACHE_HOME", "/dev/null")
    assert engine._timings() is None


@pytest.mark.parametrize(
    ("error", "kind", "said"),
    [
        (ImportError("pip install 'forgecli[gpu-rtx]'"), UsageError, "engines need TensorRT"),
        (TensorRtError("no such GPU.", "take another"), ForgeError, "no such GPU"),
    ],
)
def test_what_tensorrt_lacks_is_known_before_anything_is_exported(
    exported: Path,
    tmp_path: Path,
    player: Player,
    error: Exception,
    kind: type[ForgeError],
    said: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(run, "export", no_export)
    for name in ("best.safetensors", "best.json"):
        shutil.copy(exported / name, tmp_path)
    player.error = error
    with pytest.raises(kind, match=said):
        build(tmp_path)
    assert len(list(tmp_path.iterdir())) == 2


def test_sizes_that_do_not_suit_are_known_as_early(folder: Path, player: Player) -> None:
    with pytest.raises(UsageError, match=r"multiples of 4\. Got: 66"):
        build(folder, size=((64, 64), (66, 66), (66, 66)))


def test_a_real_engine(folder: Path) -> None:
    pytest.importorskip("tensorrt_rtx")
    result = build(folder, flavor="rtx", capability=(89,), batch=(1, 1, 2), optimisation=0)
    assert result.engine is not None
    facts = read_card(result.engine.file).built["engine"]
    assert facts["capabilities"] == [89]
    assert facts["profile"] == {"batch": [1, 1, 2], "size": [[4, 4], [64, 64], [64, 64]]}
    assert result.engine.file.stat().st_size == facts["plan_bytes"]
    assert json.loads(card_file(result.engine.file).read_text())["built"]["onnx"]["channels"] == 3
    assert files.OnnxFile.sha256.fget(result.onnx[1]) == facts["onnx_sha256"]  # type: ignore[attr-defined]
