"""`forge doctor` as a program."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

from forgecli.app import app
from forgecli.errors import UsageError


def run(*arguments: str | Path) -> tuple[int, str]:
    done = CliRunner().invoke(app, ["doctor", *map(str, arguments)])
    if isinstance(done.exception, UsageError):
        raise done.exception
    return done.exit_code, done.stdout


def test_quick_says_what_is_installed() -> None:
    code, out = run("--quick", "--json")
    found = json.loads(out)
    assert code == found["exit_code"] == 0
    assert found["problems"] == []
    assert found["python"].startswith("3.")
    assert found["libraries"]["base"]["asked"] is False


def test_quick_imports_nothing_heavy() -> None:
    code = (
        "import sys\nfrom typer.testing import CliRunner\nfrom forgecli.app import app\n"
        "assert CliRunner().invoke(app, ['doctor', '--quick']).exit_code == 0\n"
        "heavy = {'torch', 'cupy', 'cv2', 'numba', 'openvino', 'tensorrt', 'tensorrt_rtx'}\n"
        "sys.exit(', '.join(heavy & set(sys.modules)) or 0)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def test_quick_cannot_say_whether_a_file_would_load(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="leave out --quick"):
        run("--quick", "--engines", tmp_path)


def test_engines_are_in_a_folder(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="is not a folder"):
        run("--engines", tmp_path / "nowhere")


def test_a_folder_without_engines_is_no_good_news(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Nothing:
        exit_code = 0

        def as_json(self) -> dict[str, int]:
            return {}

    monkeypatch.setattr("forgecli.doctor.diagnosis.diagnose", lambda files, ask: Nothing())
    (tmp_path / "best.onnx").write_bytes(b"x")
    done = CliRunner().invoke(app, ["doctor", "--json", "--engines", str(tmp_path)])
    assert "there is no .engine file" in done.stderr.replace("\n", " ")


@pytest.mark.slow
def test_a_file_that_does_not_load_ends_it_with_1(tmp_path: Path) -> None:
    file = tmp_path / "x.engine"
    file.write_bytes(b"plan")
    code, out = run("--engines", tmp_path, "--json")
    assert code == 1
    assert "x.engine" in out


@pytest.mark.slow
def test_all_of_it() -> None:
    code, out = run("--json")
    found = json.loads(out)
    ways = {way["name"]: way for way in found["runs"]}
    assert ways["openvino on the CPU"]["runs"]
    assert all(answer["asked"] or not answer["installed"] for answer in found["libraries"].values())
    assert code == found["exit_code"]
