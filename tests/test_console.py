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
