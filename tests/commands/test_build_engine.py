"""`forge build-engine` from the command line."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import onnx
import pytest
from typer.testing import CliRunner, Result

from forgecli.app import app
from forgecli.errors import ForgeError, UsageError
from forgecli.segment.checkpoint import Card, write_card
from tests.build.checkpoints import write_simple

ROOT = Path(__file__).parents[2]


def forge(*arguments: str | Path) -> Result:
    return CliRunner().invoke(app, ["build-engine", *map(str, arguments)])


def failure(result: Result) -> ForgeError:
    assert isinstance(result.exception, ForgeError), result.output
    return result.exception


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_simple(tmp_path_factory.mktemp("run") / "best.safetensors")


def test_end_to_end(weights: Path, tmp_path: Path) -> None:
    """The ONNX files, then the same again with an engine, which finds them there."""
    out = tmp_path / "out"
    result = forge(weights, "--onnx-only", "-o", out, "--json")
    assert result.exit_code == 0, result.output
    told = json.loads(result.stdout)
    assert [Path(one["file"]).name for one in told["onnx"]] == ["best.onnx", "best.fp16.onnx"]
    assert all(one["good"] for one in told["checks"])
    assert (told["engine"], told["int8"]) == (None, None)
    onnx.checker.check_model(onnx.load(out / "best.fp16.onnx"), full_check=True)
    pytest.importorskip("tensorrt_rtx")
    options = ("--flavor", "rtx", "--capability", "8.9", "--batch", "1,1,2", "--size", "32,64,64")
    result = forge(weights, "-o", out, *options, "--optimisation", "0", "--layers")
    assert result.exit_code == 0, result.output
    assert len(result.stdout.splitlines()) > 3
    assert "was there already" in result.stderr
    (engine,) = out.glob("best.fp16.*.engine")
    facts = json.loads(engine.with_suffix(".json").read_text())["built"]["engine"]
    assert facts["profile"] == {"batch": [1, 1, 2], "size": [[32, 32], [64, 64], [64, 64]]}


def test_a_table_for_people(weights: Path, tmp_path: Path) -> None:
    result = forge(weights, "--onnx-only", "--precision", "fp32", "-o", tmp_path)
    assert result.exit_code == 0, result.output
    assert "FP32 against torch" in result.stdout and "0.0001" in result.stdout
    assert str(tmp_path / "best.onnx") in result.stderr.replace("\n", "")


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--batch", "4,2,8"], "MIN is to be at most OPT"),
        (["--size", "512,256,1024"], "MIN is to be at most OPT"),
        (["--size", "30", "--flavor", "rtx"], "multiples of 4"),
        (["--precision", "int8"], "int8 is for the CPU"),
        (["--precision", "fp8"], "--precision"),
        (["--layers", "--onnx-only"], "--layers"),
        (["--check", "nowhere", "--onnx-only"], "no such file or folder"),
        (["--config", "nowhere.toml"], "cannot be read"),
    ],
)
def test_wrong_use(weights: Path, arguments: list[str], said: str) -> None:
    if "rtx" in arguments:
        pytest.importorskip("tensorrt_rtx")
    error = failure(forge(weights, *arguments))
    assert isinstance(error, UsageError)
    assert said in str(error) and "\n" not in str(error)
    assert sorted(file.name for file in weights.parent.iterdir()) == [
        weights.with_suffix(".json").name,
        weights.name,
    ]


@pytest.mark.parametrize("name", ["mask-rcnn", "faster-rcnn"])
def test_a_network_that_cannot_be_exported(tmp_path: Path, name: str) -> None:
    (tmp_path / "best.safetensors").write_bytes(b"")
    write_card(tmp_path / "best.safetensors", Card(name))
    error = failure(forge(tmp_path / "best.safetensors"))
    assert isinstance(error, UsageError)
    assert "how many boxes" in error.what and "checkpoint itself" in error.mend


def test_damaged_weights(tmp_path: Path) -> None:
    (tmp_path / "best.safetensors").write_bytes(b"rubbish")
    write_card(tmp_path / "best.safetensors", Card("simple-cnn"))
    error = failure(forge(tmp_path / "best.safetensors", "--onnx-only"))
    assert "is not a safetensors file" in error.what


def test_a_folder_that_cannot_be_written(weights: Path, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    error = failure(forge(weights, "--onnx-only", "-o", tmp_path / "file"))
    assert "is a file, not a folder" in error.what


def test_settings_from_a_file(weights: Path, tmp_path: Path) -> None:
    file = tmp_path / "forge.toml"
    file.write_text('[build]\nbatches = "1"\n')
    error = failure(forge(weights, "--config", file))
    assert "did you mean batch?" in error.mend
    file.write_text("[build]\nbatch = [4, 2, 1]\n")
    assert "[build] batch" in str(failure(forge(weights, "--config", file)))


@pytest.mark.parametrize(
    ("module", "arguments"),
    [("torch", ["--onnx-only"]), ("onnxruntime", ["--onnx-only"]), ("onnx", ["--onnx-only"])],
)
def test_a_missing_package_names_the_extra(
    weights: Path, tmp_path: Path, module: str, arguments: list[str]
) -> None:
    line = ["build-engine", str(weights), "-o", str(tmp_path), *arguments]
    code = f"import sys; sys.modules[{module!r}] = None; sys.argv[1:] = {line!r}; " \
           "from forgecli.app import main; main()"  # fmt: skip
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT, check=False
    )
    assert done.returncode == 2, done.stderr
    assert "forgecli[train]" in done.stderr and "Traceback" not in done.stderr
