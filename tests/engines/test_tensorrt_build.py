"""Building engines with the real TensorRT for RTX, which needs no GPU for it."""

from __future__ import annotations

import hashlib
import json
import signal
import threading
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("tensorrt_rtx", reason="tensorrt-rtx-cu13 is not installed")
pytest.importorskip("onnx", reason="onnx is not installed")

from onnx import TensorProto, helper, numpy_helper

import engines.tensorrt_build as build
from engines.base import Spec
from engines.tensorrt import TensorRtEngine
from engines.tensorrt_build import BuildOptions, Built, build_engine, planned
from engines.tensorrt_layers import OF_THE_NETWORK
from engines.tensorrt_library import Library, TensorRtError, gpu_capability, library
from engines.tensorrt_loaded import _RTX_MAGIC
from tests.engines.fake_tensorrt import FakeGpu
from tests.engines.tiny_onnx import model, network, one_node

ROOT = Path(__file__).parents[2]

NO_GPU = gpu_capability() is None
without_gpu = pytest.mark.skipif(not NO_GPU, reason="there is a GPU")

SIZES = ((32, 32), (64, 64), (64, 96))


def options(**changed: Any) -> BuildOptions:
    given: dict[str, Any] = {
        "batch": (1, 2, 4), "size": SIZES, "precision": "fp32", "flavor": "rtx",
        "capabilities": (89,), **changed,
    }  # fmt: skip
    return BuildOptions(**given)


@pytest.fixture(scope="module")
def built() -> Built:
    return build_engine(network(outputs=2), options())


def test_an_engine_is_built_and_says_what_it_is(built: Built) -> None:
    facts = built.facts
    assert built.plan.startswith(_RTX_MAGIC), "nothing before the plan"
    assert facts["plan_bytes"] == len(built.plan) > 1000
    assert facts["plan_sha256"] == hashlib.sha256(built.plan).hexdigest()
    assert facts["onnx_sha256"] == hashlib.sha256(network(outputs=2)).hexdigest()
    assert facts["flavor"] == "rtx" and facts["version"] == library("rtx").version
    assert facts["capabilities"] == [89] and facts["precision"] == "fp32"
    assert facts["profile"] == {"batch": [1, 2, 4], "size": [[32, 32], [64, 64], [64, 96]]}
    assert facts["inputs"] == [{"name": "images", "shape": [-1, 3, -1, -1], "dtype": "float32"}]
    assert facts["outputs"] == [{"name": "logits", "shape": [-1, 2, -1, -1], "dtype": "float32"}]
    assert facts["seconds"] > 0
    assert json.loads(json.dumps(facts)) == facts
    assert built.notes == ()


@without_gpu
def test_the_layers_are_the_networks_where_no_gpu_loads_the_engine(built: Built) -> None:
    first, *lines = built.layers.splitlines()
    assert first == OF_THE_NETWORK
    assert any("first" in line and "convolution" in line and "? x 8" in line for line in lines)


@without_gpu
def test_an_engine_does_not_load_without_a_driver(built: Built) -> None:
    with pytest.raises(TensorRtError, match=r"no NVIDIA driver.*forge doctor"):
        TensorRtEngine(built.plan, Spec(outputs=2), gpu=FakeGpu(), library=library("rtx"))


def test_half_precision_is_in_the_network() -> None:
    half = build_engine(network(half=True), options(precision="fp16"))
    assert half.facts["precision"] == "fp16"
    assert half.facts["inputs"][0]["dtype"] == half.facts["outputs"][0]["dtype"] == "float32"
    lines = [line for line in half.layers.splitlines() if "convolution" in line]
    assert len(lines) == 2 and all("half" in line for line in lines)


@without_gpu
def test_without_a_gpu_an_engine_serves_what_the_library_names_from_ampere_on() -> None:
    facts = planned(options(capabilities=()))
    assert {80, 86, 89, 120} <= set(facts["capabilities"])
    assert 75 not in facts["capabilities"]
    made = build_engine(network(), options(capabilities=()))
    assert {name: made.facts[name] for name in facts} == facts


def test_turing_is_built_for_when_it_is_asked_for() -> None:
    made = build_engine(network(), options(capabilities=(89, 75, 75)))
    assert made.facts["capabilities"] == [75, 89]


def test_a_gpu_that_the_library_does_not_name() -> None:
    with pytest.raises(TensorRtError, match=r"no compute capability 9\.0.*names.*8\.9"):
        build_engine(network(), options(capabilities=(90,)))


def test_progress_is_told() -> None:
    seen: list[tuple[str, int, int]] = []
    build_engine(network(), options(), progress=lambda *told: seen.append(told))
    assert seen
    for phase, step, steps in seen:
        assert phase and 0 <= step <= steps
    phases = {phase for phase, _, _ in seen}
    assert len(phases) > 2
    assert all(any(p == phase and step == steps for p, step, steps in seen) for phase in phases)


def test_an_error_in_the_progress_stops_the_build() -> None:
    told = 0

    def progress(phase: str, step: int, steps: int) -> None:
        nonlocal told
        told += 1
        if told == 3:
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        build_engine(network(), options(), progress=progress)
    assert told == 3


def test_ctrl_c_stops_the_build() -> None:
    before = signal.getsignal(signal.SIGINT)
    told = 0

    def progress(phase: str, step: int, steps: int) -> None:
        nonlocal told
        told += 1
        if told == 3:
            signal.raise_signal(signal.SIGINT)

    everything: list[object] = []
    build_engine(network(), options(), progress=lambda *_: everything.append(_))
    with pytest.raises(KeyboardInterrupt):
        build_engine(network(), options(), progress=progress)
    assert told < len(everything) / 2
    assert signal.getsignal(signal.SIGINT) is before


def test_it_builds_in_a_thread_too() -> None:
    made: list[Built] = []
    thread = threading.Thread(target=lambda: made.append(build_engine(network(), options())))
    thread.start()
    thread.join()
    assert made


def refused(onnx: bytes, **changed: Any) -> str:
    with pytest.raises(TensorRtError) as raised:
        build_engine(onnx, options(**changed))
    text = str(raised.value)
    assert "/_src" not in text and "cudaError" not in text and "\n" not in text
    return text


def test_an_operator_that_it_does_not_have_is_named() -> None:
    text = refused(one_node("Frobnicate"))
    assert "Frobnicate" in text and "only" in text and "export" in text
    assert "Unique" in refused(one_node("Unique"))


def test_mixed_number_formats_are_refused() -> None:
    half = numpy_helper.from_array(np.ones(1, np.float16), "w")
    text = refused(one_node("Add", inputs=("images", "w"), tensors=[half]))
    assert "operator Add of the layer only" in text
    assert "Float and Half" in text and "explicit casts" in text


@pytest.mark.parametrize("data", [b"", b"no onnx", network()[:200]])
def test_files_that_are_not_onnx(data: bytes) -> None:
    assert "export it again" in refused(data)


@pytest.mark.parametrize("names", [("pictures", "logits"), ("images", "mask")])
def test_networks_of_others(names: tuple[str, str]) -> None:
    text = refused(network(input_name=names[0], output_name=names[1]))
    assert "forge's take images and give logits" in text


def test_an_input_in_half_precision_is_not_forges() -> None:
    node = helper.make_node("Cast", ["images"], ["logits"], to=TensorProto.FLOAT)
    data = model([node], ("n", 3, "h", "w"), taken=TensorProto.FLOAT16)
    assert "both float32" in refused(data)


def test_dimensions_that_are_fixed() -> None:
    fixed = network(shape=(2, 3, 64, "w"))
    assert "batch of 2 only" in refused(fixed)
    assert "height of 64 only" in refused(fixed, batch=(2, 2, 2))
    made = build_engine(fixed, options(batch=(2, 2, 2), size=((64, 32), (64, 64), (64, 96))))
    assert made.facts["inputs"][0]["shape"] == [2, 3, 64, -1]
    still = network(shape=(1, 3, 32, 32))
    made = build_engine(still, options(batch=(1, 1, 1), size=((32, 32),) * 3))
    assert made.facts["inputs"][0]["shape"] == [1, 3, 32, 32]


def test_shapes_that_the_network_cannot_have() -> None:
    added = numpy_helper.from_array(np.ones((1, 1, 1, 5), np.float32), "w")
    node = helper.make_node("Add", ["images", "w"], ["logits"], "only")
    assert refused(model([node], ("n", 3, "h", "w"), [added]))


@pytest.mark.parametrize(
    "changed",
    [
        {"batch": (2, 1, 4)},
        {"batch": (0, 1, 4)},
        {"size": ((64, 64), (32, 64), (96, 96))},
        {"size": ((64, 64), (64, 64), (64, 32))},
        {"optimisation": 6},
        {"optimisation": -1},
    ],
)
def test_options_that_cannot_be(changed: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="Got"):
        options(**changed)


def test_the_level_of_optimisation_is_the_one_asked_for() -> None:
    assert build_engine(network(), options(optimisation=1)).facts["optimisation"] == 1


def test_no_tf32(monkeypatch: pytest.MonkeyPatch) -> None:
    """Arithmetic that is called float32 has 23 bits of fraction."""
    cleared = []
    found = library("rtx")
    config = found.module.IBuilderConfig
    clear = config.clear_flag
    monkeypatch.setattr(config, "clear_flag", lambda c, f: (cleared.append(f), clear(c, f))[1])
    build_engine(network(), options())
    assert cleared == [found.module.BuilderFlag.TF32]


def test_tensorrt_for_rtx_does_not_measure(tmp_path: Path) -> None:
    made = build_engine(network(), options(timing_cache=tmp_path / "timings"))
    assert len(made.notes) == 1 and "not used" in made.notes[0]
    assert not (tmp_path / "timings").exists()


class DataCentre:
    """The code for the data-centre library, on the objects of the other one."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, capability: int | None) -> None:
        found = Library("tensorrt", library("rtx").module, "11.0.0")
        monkeypatch.setattr(build, "library", lambda flavor: found)
        monkeypatch.setattr(build, "gpu_capability", lambda: capability)


@pytest.mark.filterwarnings("ignore:.*Timing cache:DeprecationWarning")
def test_the_data_centre_library_builds_for_its_gpu_and_keeps_timings(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    DataCentre(monkeypatch, 90)
    file = tmp_path / "new" / "timings"
    given = options(flavor="tensorrt", capabilities=(), timing_cache=file)
    made = build_engine(network(), given)
    assert (made.facts["flavor"], made.facts["capabilities"]) == ("tensorrt", [90])
    assert made.facts["version"] == "11.0.0"
    assert file.stat().st_size > 0 and [file] == list(file.parent.iterdir())
    # What the other library writes is empty, and it does not take that for its own.
    assert "not used, and replaced" in build_engine(network(), given).notes[0]


def test_the_data_centre_library_builds_for_no_other_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    DataCentre(monkeypatch, 90)
    assert "9.0" in refused(network(), flavor="tensorrt", capabilities=(80,))
    DataCentre(monkeypatch, None)
    assert "--flavor rtx" in refused(network(), flavor="tensorrt", capabilities=())


def test_rtx_on_a_gpu_builds_for_that(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(build, "gpu_capability", lambda: 75)
    assert build_engine(network(), options(capabilities=())).facts["capabilities"] == [75]
    monkeypatch.setattr(build, "gpu_capability", lambda: 90)
    assert planned(options(capabilities=()))["capabilities"] == [90]
    target = build._target(options(capabilities=()))
    assert target.current, "not named, so the library is told to take the GPU that is there"
