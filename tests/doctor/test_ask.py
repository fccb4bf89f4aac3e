"""Libraries are asked so that whatever they do is an answer."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

from forgecli.doctor import probe
from forgecli.doctor.ask import ask, ask_all, heard, nvidia_driver


def module(folder: Path, name: str, code: str) -> None:
    (folder / f"{name}.py").write_text(code, encoding="utf-8")


@pytest.fixture
def path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder from which this process and its children import first."""
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    return tmp_path


def test_a_library_that_answers(path: Path) -> None:
    module(path, "tensorrt", 'print("noise")\n__version__ = "11.1"')
    answer = ask("tensorrt")
    assert answer.works
    assert answer.facts == {"version": "11.1"}


def test_one_that_is_not_installed_is_not_asked() -> None:
    assert "tensorrt" not in sys.modules
    answer = ask("tensorrt")
    assert (answer.installed, answer.asked, answer.broken) == (False, False, False)


def test_one_whose_import_fails(path: Path) -> None:
    module(path, "tensorrt", 'raise OSError("libnvinfer.so.11: cannot open\\nmore")')
    answer = ask("tensorrt")
    assert answer.broken
    assert answer.error == "OSError: libnvinfer.so.11: cannot open"


def test_one_that_takes_the_process_along(path: Path) -> None:
    module(path, "tensorrt", "import os\nos.abort()")
    answer = ask("tensorrt")
    assert answer.broken
    assert "SIGABRT" in answer.error


def test_one_that_exits(path: Path) -> None:
    module(path, "tensorrt", "import os\nos._exit(3)")
    assert ask("tensorrt").error == "it ended with code 3"


def test_one_that_hangs(path: Path) -> None:
    module(path, "tensorrt", "import time\ntime.sleep(60)")
    assert ask("tensorrt", patience=1.0).error == "no answer within 1 s"


def test_several_at_once(path: Path) -> None:
    module(path, "tensorrt", '__version__ = "11.1"')
    module(path, "tensorrt_rtx", "raise ValueError")
    answers = ask_all(["tensorrt", "tensorrt_rtx"])
    assert answers["tensorrt"].works
    assert answers["tensorrt_rtx"].error == "ValueError: "


def test_only_an_object_is_an_answer() -> None:
    assert heard(0, "[1]", "").broken
    assert heard(0, "", "Traceback\n  the reason\n").error == "it ended with code 0:   the reason"
    assert heard(0, 'noise\n{"facts": {"a": 1}}\n', "").facts == {"a": 1}


def test_a_probe_prints_one_line_of_json(capsys: pytest.CaptureFixture[str]) -> None:
    assert probe.main("base") == 0
    assert heard(0, capsys.readouterr().out, "").facts == {"failed": {}}


def test_openvino_says_what_the_processor_has() -> None:
    pytest.importorskip("openvino", reason="OpenVINO is not installed")
    facts = probe.openvino()
    assert "CPU" in facts["devices"]
    assert "FP32" in facts["capabilities"]


def program(folder: Path, code: str) -> str:
    file = folder / "nvidia-smi"
    file.write_text(f"#!{sys.executable}\n{code}\n", encoding="utf-8")
    file.chmod(0o755)
    return str(file)


@pytest.mark.skipif(os.name == "nt", reason="needs a script that can be run")
def test_the_driver_is_read(tmp_path: Path) -> None:
    lines = "NVIDIA H200, 143771, 580.65.06\\nNVIDIA RTX A6000, Ada, 49140, 580.65.06"
    driver = nvidia_driver(program=program(tmp_path, f'print("{lines}")'))
    assert driver.version == "580.65.06"
    assert driver.gpus == (
        ("NVIDIA H200", 143771 << 20),
        ("NVIDIA RTX A6000, Ada", 49140 << 20),
    )


@pytest.mark.skipif(os.name == "nt", reason="needs a script that can be run")
def test_a_driver_that_does_not_answer(tmp_path: Path) -> None:
    code = 'import sys\nprint("NVIDIA-SMI has failed")\nsys.exit(9)'
    driver = nvidia_driver(program=program(tmp_path, code))
    assert driver.there
    assert driver.error == "NVIDIA-SMI has failed"
    slow = nvidia_driver(program=program(tmp_path, "import time; time.sleep(9)"), patience=0.5)
    assert "no answer" in slow.error


def test_no_driver() -> None:
    driver = nvidia_driver(program="no-such-program-at-all")
    assert not driver.there
    assert not driver.gpus
