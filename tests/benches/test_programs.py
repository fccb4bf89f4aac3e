"""How benches run forge itself."""

from __future__ import annotations

import sys

import pytest

from bench import programs


def program(code: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(programs, "FORGE", [sys.executable, "-c", code])


def test_what_is_printed_is_given_and_what_is_said_is_shown(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    program("import sys; print(sys.argv[1:]); print('on it', file=sys.stderr)", monkeypatch)
    assert programs.forge("predict", 3) == "['predict', '3']\n"
    assert capfd.readouterr().err == "on it\n"


def test_inputs_that_failed_are_no_error(monkeypatch: pytest.MonkeyPatch) -> None:
    program("print('rows'); raise SystemExit(3)", monkeypatch)
    assert programs.forge("predict") == "rows\n"


def test_a_command_that_fails_ends_the_bench_with_its_words(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    program("import sys; print('no\\n' * 5 + 'disk full', file=sys.stderr); sys.exit(1)",
            monkeypatch)  # fmt: skip
    with pytest.raises(SystemExit, match=r"^forge build-engine ended with 1: no no disk full$"):
        programs.forge("build-engine", "a.safetensors")
