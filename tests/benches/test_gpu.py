"""`bench.gpu` where there is no GPU: what it says, and that one part costs no other."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from time import monotonic, sleep
from typing import Any

import numpy as np
import pytest

from bench import gpu
from bench.gpu_compiling import compile_all, modules
from bench.gpu_engines import drawn_maps, images_per_second, repeated
from bench.gpu_files import linked
from bench.gpu_parts import PARTS, CannotRun, Part, run
from bench.gpu_process import Ended, failed, run_within
from bench.gpu_tests import judged, marked
from bench.gpu_transfers import gigabytes_per_second
from engines.base import Spec
from forgecli.doctor.ask import Answer
from tests.kernels.cuda.host import HostDevice

ROOT = Path(__file__).parents[2]


def kept(work: Path, name: str = "p") -> dict[str, Any]:
    found: dict[str, Any] = json.loads((work / f"{name}.json").read_text(encoding="utf-8"))
    return found


def test_a_part_keeps_what_it_found_before_it_failed(tmp_path: Path) -> None:
    def measure(part: Part) -> None:
        part.add("first", "1 GB/s", gb_per_second=1.0)
        raise ValueError("boom")

    with pytest.raises(ValueError, match="boom"):
        run(Part("p", tmp_path), measure)
    found = kept(tmp_path)
    assert found["status"] == "failed"
    assert found["reason"] == "ValueError: boom"
    assert found["figures"] == {"first": "1 GB/s"}


def test_a_part_that_is_done_and_one_that_cannot_run(tmp_path: Path) -> None:
    assert run(Part("p", tmp_path), lambda part: part.add("a", "b")) == 0
    assert kept(tmp_path)["status"] == "done"

    def lacking(part: Part) -> None:
        raise CannotRun("no TensorRT")

    assert run(Part("p", tmp_path), lacking) == 0
    assert kept(tmp_path) == {"status": "cannot run", "reason": "no TensorRT", "figures": {},
                              "data": {}}  # fmt: skip


def test_a_part_that_a_bench_ended(tmp_path: Path) -> None:
    def ended(part: Part) -> None:
        raise SystemExit("ours disagrees")

    assert run(Part("p", tmp_path), ended) == 1
    assert "ours disagrees" in kept(tmp_path)["reason"]


def test_parts_know_each_other(tmp_path: Path) -> None:
    first = Part("engines", tmp_path)
    first.add("slow", "", images_per_second=10.0)
    first.add("fast", "", images_per_second=40.0)
    first.lacks("broken", ValueError("no\nmore"))
    part = Part("finishing", tmp_path)
    assert part.known("engines", "images_per_second") == 40.0
    assert part.known("engines", "other") is None
    assert part.known("files", "other") is None
    assert kept(tmp_path, "engines")["figures"]["broken"] == "could not run: no"


def test_what_pytest_says() -> None:
    good = judged(Ended(0, "...\n==== 12 passed, 3 skipped, 900 deselected in 4.2s ====\n"), 9)
    assert good["status"] == "done"
    assert good["figures"] == {"passed": "12", "skipped": "3"}
    bad = judged(Ended(1, "FAILED tests/a.py::b - x\n== 1 failed, 2 passed in 1.0s ==\n"), 9)
    assert bad["status"] == "failed"
    assert bad["reason"] == "pytest ended with 1: 1 failed, 2 passed in 1.0s"
    assert bad["data"]["failed"] == ["FAILED tests/a.py::b - x"]
    none = judged(Ended(0, "SKIPPED [2] tests/a.py: no GPU\n== 2 skipped in 1.0s ==\n"), 9)
    assert none["status"] == "cannot run"
    assert judged(Ended(5, "no tests ran in 0.1s"), 9)["status"] == "cannot run"
    assert judged(Ended(2, "error: broken"), 9)["status"] == "failed"


def test_what_pytest_had_said_when_its_time_was_over() -> None:
    said = (
        "collected 9 items\ntests/a.py::one PASSED   [ 1%]\ntests/a.py::two[a b] FAILED [ 2%]\n"
        "tests/b.py::three SKIPPED (no) [ 3%]\ntests/b.py::four[gpu] "
    )
    late = judged(Ended(None, said), 100)
    assert late["status"] == "failed"
    assert late["reason"] == "not done within 100 s, at tests/b.py::four[gpu]"
    assert late["figures"] == {"passed": "1", "failed": "1", "skipped": "1"}
    assert late["data"]["failed"] == ["tests/a.py::two[a b]"]


def test_only_files_with_tests_for_a_gpu_are_imported(tmp_path: Path) -> None:
    mark = ".".join(("pytest", "mark", "gpu"))  # not in one word, or this file would have it
    for name, text in {
        "kernels/conftest.py": mark, "kernels/deep/test_x.py": mark,
        "gpu/test_all.py": mark, "gpu/pictures.py": mark,
        "zz/test_late.py": mark, "zz/test_cpu.py": "",
    }.items():  # fmt: skip
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text, encoding="utf-8")
    found = [str(path.relative_to(tmp_path)) for path in marked(tmp_path)]
    assert found == ["kernels", "zz/test_late.py", "gpu/test_all.py"]
    here = [str(path.relative_to(ROOT)) for path in marked(ROOT / "tests")]
    assert here[0] == "tests/kernels/cuda"
    assert "tests/engines/test_torch_cuda.py" in here and "tests/gpu/test_stream.py" in here
    assert not any("benches" in path for path in here)


def test_a_program_that_hangs_is_ended_with_what_it_started(tmp_path: Path) -> None:
    """Its child would hold a pipe, and the bench with it, for a minute."""
    child = "import time; time.sleep(60)"
    text = (
        "import subprocess, sys, time\n"
        f"child = subprocess.Popen([sys.executable, '-c', {child!r}])\n"
        "print('child', child.pid)\ntime.sleep(60)\n"
    )
    began = monotonic()
    ended = run_within(2.0, [sys.executable, "-c", text], tmp_path)
    assert monotonic() - began < 20
    assert ended.code is None
    child_id = int(ended.output.split()[1])
    for _ in range(100):
        if not Path(f"/proc/{child_id}").exists() or " Z " in _state(child_id):
            return
        sleep(0.05)
    raise AssertionError("the child is still there")


def _state(process: int) -> str:
    try:
        return Path(f"/proc/{process}/stat").read_text(encoding="utf-8")
    except OSError:
        return " Z "


def test_how_a_program_ended(tmp_path: Path) -> None:
    text = "import sys; print('said'); print('cried', file=sys.stderr); sys.exit(3)"
    assert run_within(30, [sys.executable, "-c", text], tmp_path) == Ended(3, "said\ncried\n")


def test_a_part_that_crashes_or_hangs_costs_no_other(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def program(name: str, limit: float, work: Path, quick: bool) -> dict[str, Any]:
        if name == "engines":
            return failed("it ended with -11", "last words")
        return {"status": "done", "reason": "", "figures": {"a": "1 GB/s"}}

    monkeypatch.setattr(gpu, "run_part", program)
    seen: list[list[str]] = []
    parts = gpu.run_all(
        ["transfers", "engines", "files"], 8.0, tmp_path, False, lambda parts: seen.append([*parts])
    )
    assert seen == [["transfers"], ["transfers", "engines"], ["transfers", "engines", "files"]]
    assert [part["status"] for part in parts.values()] == ["done", "failed", "done"]
    text = gpu.shown(parts)
    assert "it ended with -11" in text
    assert text.count("1 GB/s") == 2


def test_folders_of_the_machine_are_not_kept() -> None:
    said = {"reason": "in /home/me/x/tests/a.py: 3 images/s", "data": ["File '/usr/lib/b.py'", 1]}
    assert gpu.without_paths(said) == {
        "reason": "in .../a.py: 3 images/s",
        "data": ["File '.../b.py'", 1],
    }


def test_the_limits_of_all_parts_fit_and_the_whole_program_comes_before_the_kernels() -> None:
    names = list(gpu.ORDER)
    assert set(names) == set(gpu.LIMITS) == {"tests", *PARTS}
    assert names[:2] == ["compiling", "tests"]
    assert sum(gpu.LIMITS.values()) <= 60 * gpu.MINUTES
    assert 60 * gpu.MINUTES + 30 < 600, "with what finding the GPU takes, in ten minutes"
    assert names.index("engines") < names.index("files"), "which knows the engine's rate from it"
    assert names.index("files") < min(map(names.index, ("dense_field", "verification")))


def test_a_part_has_its_limit_and_what_those_before_it_left(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    now, given = [1000.0], {}
    takes = {"transfers": 5.0, "engines": None, "finishing": None, "files": None}

    def program(name: str, limit: float, work: Path, quick: bool) -> dict[str, Any]:
        given[name] = limit
        now[0] += takes[name] or limit  # None: hangs
        return {"status": "done", "reason": "", "figures": {}}

    monkeypatch.setattr(gpu, "run_part", program)
    monkeypatch.setattr(gpu, "monotonic", lambda: now[0])
    limits = gpu.LIMITS
    minutes = (limits["transfers"] + limits["engines"] + limits["finishing"] + 10) / 60
    gpu.run_all(list(takes), minutes, tmp_path, False)
    assert given == pytest.approx(
        {
            "transfers": limits["transfers"],
            "engines": limits["engines"] + limits["transfers"] - 5,
            "finishing": limits["finishing"],
            "files": 10,
        }
    )


def test_no_time_left(tmp_path: Path) -> None:
    parts = gpu.run_all(["transfers"], 0.0, tmp_path, False)
    assert parts["transfers"]["reason"] == "no time was left"


def test_a_part_is_a_program_that_can_fail(tmp_path: Path) -> None:
    """Without a GPU the real part fails, and what it says is kept."""
    found = gpu.run_part("transfers", 60.0, tmp_path, True)
    if found["status"] == "done":
        pytest.skip("there is a GPU here")
    assert found["status"] in ("failed", "cannot run")
    assert "GPU" in found["reason"] or "cupy" in found["reason"]


def test_why_there_is_no_gpu() -> None:
    answers = {"cupy": Answer(True, True, facts={"gpus": []}), "torch": Answer(False)}
    assert gpu.gpu_found(answers) == ""
    said = gpu.no_gpu(answers)
    assert "cupy: finds none" in said
    assert "torch: is not installed" in said
    there = {"torch": Answer(True, True, facts={"gpus": [{"name": "NVIDIA H200"}]})}
    assert gpu.gpu_found(there) == "NVIDIA H200"


def test_without_a_gpu_nothing_is_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "gpu.json"
    monkeypatch.setattr(gpu, "ask_all", lambda names: {name: Answer(False) for name in names})
    monkeypatch.setattr(sys, "argv", ["bench.gpu", "--json", str(file)])
    assert gpu.main() == 2
    assert "needs an NVIDIA GPU" in capsys.readouterr().err
    assert not file.exists()


@pytest.mark.slow
def test_without_a_gpu_it_says_so_and_ends_with_2(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "bench.gpu", "--json", str(tmp_path / "gpu.json")]
    done = subprocess.run([*command, "--parts", "transfers", "--minutes", "0"],
                          cwd=ROOT, capture_output=True, text=True)  # fmt: skip
    if done.returncode == 0:
        pytest.skip("there is a GPU here")
    assert done.returncode == 2
    assert "needs an NVIDIA GPU" in done.stderr
    assert not (tmp_path / "gpu.json").exists()
    wrong = subprocess.run([*command, "--parts", "nothing"], cwd=ROOT, capture_output=True)
    assert wrong.returncode == 2


class Counting:
    """A lane engine that notes what it is given."""

    spec = Spec()
    lanes = 3
    largest = 8

    def __init__(self) -> None:
        self.calls: list[tuple[int, tuple[int, ...]]] = []

    def enqueue(
        self, lane: int, images: int, logits: int, shape: tuple[int, int, int, int], stream: int
    ) -> None:
        self.calls.append((lane, shape))

    def close(self) -> None:
        pass


def test_batches_go_round_the_lanes() -> None:
    engine = Counting()
    rate = images_per_second(HostDevice(), engine, 3, 4, size=32)
    assert rate > 0
    assert [lane for lane, _ in engine.calls[:6]] == [0, 1, 2, 0, 1, 2]
    assert {shape for _, shape in engine.calls} == {(4, 3, 32, 32)}


def test_the_best_turn_counts() -> None:
    def turn(times: int) -> float:
        return times * 0.01

    assert repeated(turn, 8) == pytest.approx(800)


def test_copies_are_timed() -> None:
    host = np.zeros(1 << 16, np.uint8)
    for way in ("up", "down"):
        assert gigabytes_per_second(HostDevice(), host, way, seconds=0.01) > 0


def test_maps_have_some_regions() -> None:
    maps = drawn_maps(2, 128)
    assert maps.shape == (2, 1, 128, 128)
    assert maps.dtype == np.float32
    assert 0.03 < (maps > 0).mean() < 0.07


def test_links_come_round(tmp_path: Path) -> None:
    files = []
    for name in "ab":
        file = tmp_path / f"{name}.tif"
        file.write_bytes(name.encode())
        files.append(file)
    folder = linked(files, 5, tmp_path / "many")
    assert [path.read_bytes() for path in sorted(folder.iterdir())] == [b"a", b"b"] * 2 + [b"a"]


def test_kernels_are_compiled_beside_each_other() -> None:
    every = modules()
    assert "kernels.patchmatch" in every and "kernels.cuda" not in every
    assert compile_all(["kernels.rank", "kernels.affine_map"]) == 2


def test_an_engine_that_fails_costs_no_other(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from bench import gpu_engines

    def broken(*_: object, **__: object) -> None:
        raise RuntimeError("no such thing")

    monkeypatch.setattr("kernels.cuda.cupy_device.CupyDevice", HostDevice)
    for name in ("_torch_lanes", "_graph", "_tensorrt"):
        monkeypatch.setattr(gpu_engines, name, broken)
    monkeypatch.setattr(gpu_engines, "checkpoint", lambda work: work)
    gpu_engines.measure(Part("engines", tmp_path))
    figures = kept(tmp_path, "engines")["figures"]
    assert len(figures) == 6
    assert set(figures.values()) == {"could not run: no such thing"}
