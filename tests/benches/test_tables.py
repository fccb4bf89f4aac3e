"""The tables of the documents, from the results of the benches."""

from __future__ import annotations

import json
import runpy
from pathlib import Path
from typing import Any

import pytest

from bench.predict_programs import CHECKPOINT, DECODE, ENGINE, LOADER, NOTEBOOK, OURS
from bench.predict_rates import report
from bench.programs import Contender, Ran

MAKE: dict[str, Any] = runpy.run_path(
    str(Path(__file__).parents[2] / "docs" / "make_tables.py"), run_name="make_tables"
)
MACHINE = {"cpu": "A CPU", "cores": 2, "date": "2026-01-01",
           "versions": {"python": "3.11.7", "numpy": "2.4"}}  # fmt: skip


def contenders() -> dict[str, Contender]:
    """Ours takes 11 s for 11 files (1 s of start); the notebook 41, the engine alone 9.9."""
    walls = {OURS: 11.0, CHECKPOINT: 21.0, NOTEBOOK: 41.0, LOADER: 21.0}
    found = {}
    for name, wall in walls.items():
        found[name] = Contender(["x"], whole=[Ran(wall, wall, {})] * 3, one=[Ran(1.0, 1.0, {})] * 3,
                                cold=Ran(5.0, 1.0, {}))  # fmt: skip
    for name, loop in ((ENGINE, 9.9), (DECODE, 1.1)):
        found[name] = Contender(["x"], limit=True, whole=[Ran(20.0, 1.0, {"loop": loop})] * 3)
    return found


def test_the_bench_reports_ratios_and_the_limit() -> None:
    text, results = report(contenders(), 11)
    ours = results[OURS]
    assert ours["images_per_second"] == pytest.approx(1.0)
    assert ours["images_per_second_without_start"] == pytest.approx(1.0)
    assert ours["times_as_fast_as"][NOTEBOOK][1] == pytest.approx(41 / 11)
    assert ours["of_limit"][1] == pytest.approx(0.9), "10 files of the engine in 9 s, ours in 10"
    assert results[ENGINE]["of_limit"][1] == pytest.approx(1.0)
    assert results[DECODE]["of_limit"][1] == pytest.approx(9.0)
    assert OURS in text


def test_the_table_of_predict() -> None:
    _, results = report(contenders(), 11)
    sizes = {"least": 0.3, "median": 1.0, "most": 16.0, "sum": 600}
    found = {
        "machine": MACHINE,
        "libraries": {"openvino": "2026.4"},
        "network": {"model": "unet", "encoder": "resnet18", "size": 512},
        "set": {"files": 11, "none": 4, "few": 3, "many": 4, "megapixels": sizes},
        "rounds": 3,
        "contenders": results,
    }
    text = MAKE["predict"](json.loads(json.dumps(found)))
    assert "| forge, .onnx | 1.00 | 1.00 | 1.000 | 3.73 (3.73 - 3.73) |" in text
    assert "unet on resnet18 at 512 px" in text
    assert "openvino 2026.4" in text


def test_the_table_of_the_gpu() -> None:
    parts = {
        "tests": {
            "status": "failed",
            "reason": "pytest ended | with 1",
            "figures": {"passed": "9"},
        },
        "engines": {"status": "done", "reason": "", "figures": {"TensorRT": "9000 images/s"}},
    }
    found = {"machine": MACHINE, "libraries": {}, "device": "NVIDIA H200", "parts": parts}
    text = MAKE["gpu"](found)
    assert "| tests | failed | pytest ended \\| with 1 |" in text
    assert "| tests | passed | 9 |" in text
    assert "| engines | TensorRT | 9000 images/s |" in text
    assert "NVIDIA H200" in text


def test_without_results_it_says_so(tmp_path: Path) -> None:
    assert MAKE["table"]("gpu", tmp_path) == "`python -m bench.gpu` has not been run on a GPU."


def test_the_models_as_they_are_kept() -> None:
    text = MAKE["table"]("models")
    assert text.startswith("| system | parameters |")
    assert "| match |" in text


def renewed(text: str) -> str:
    result: str = MAKE["renewed"](text, lambda name: f"table {name}")
    return result


def test_blocks_are_replaced_and_nothing_else() -> None:
    text = "a\n<!-- table one -->\nold\n<!-- end one -->\nb `<!-- table two -->`\n"
    new = "a\n<!-- table one -->\n\ntable one\n\n<!-- end one -->\nb `<!-- table two -->`\n"
    assert renewed(text) == new
    assert renewed(new) == new
    assert renewed("nothing\n") == "nothing\n"


@pytest.mark.parametrize(
    "text",
    [
        "<!-- table one -->\n",
        "<!-- end one -->\n",
        "<!-- table one -->\n<!-- end two -->\n",
        "<!-- table one -->\n<!-- table two -->\n<!-- end two -->\n",
    ],
)
def test_blocks_that_do_not_close(text: str) -> None:
    with pytest.raises(ValueError, match=r"block|closed"):
        renewed(text)


def test_an_unknown_table() -> None:
    with pytest.raises(KeyError):
        MAKE["renewed"]("<!-- table no-such -->\n<!-- end no-such -->\n")
