"""Names of files are data on a terminal, too."""

from __future__ import annotations

import pytest

from forgecli import console
from forgecli.errors import ForgeError


@pytest.mark.parametrize("speak", [console.say, console.note, console.warn])
def test_text_is_not_markup_and_holds_no_control(
    speak: object, capsys: pytest.CaptureFixture[str]
) -> None:
    speak("[bold]a\x1b[31m\x07\udcff\\")  # type: ignore[operator]
    said = capsys.readouterr()
    assert said.out == ""
    assert "[bold]a\\x1b[31m\\x07\\udcff\\" in said.err and "\x1b" not in said.err


def test_an_error_names_file_and_mend(capsys: pytest.CaptureFixture[str]) -> None:
    console.fail(ForgeError("[x] broke", file="a\nb", mend="mend [it]"))
    assert capsys.readouterr().err.splitlines() == ["error: a\\nb: [x] broke", "  try: mend [it]"]


def test_tables_are_not_cut_in_a_narrow_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "30")
    assert console.stdout_for_tables().width == 80
    monkeypatch.setenv("COLUMNS", "120")
    assert console.stdout_for_tables().width == 120


def test_a_command_that_is_interrupted_says_so(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Typer ends the program with 130 and says nothing."""
    from forgecli import app

    def interrupted(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("forgecli.synth.sources.list_sources", interrupted)
    monkeypatch.setattr("sys.argv", ["forge", "synth", "here", "-o", "there"])
    with pytest.raises(SystemExit) as end:
        app.main()
    assert end.value.code == 130
    assert "interrupted" in capsys.readouterr().err
