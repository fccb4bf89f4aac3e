"""Reading rows: what is accepted, and that every error has its line."""

from __future__ import annotations

import csv
from pathlib import Path

import pytest

from forgecli.errors import ForgeError
from forgecli.score import rows
from forgecli.score.rows import Row, read_rows

HEAD = b"case_id,annotation\n"


def read(tmp_path: Path, content: bytes) -> list[Row]:
    file = tmp_path / "sub.csv"
    file.write_bytes(content)
    return list(read_rows(file, ("annotation",)))


def values(found: list[Row]) -> list[tuple[str, str]]:
    return [(row.case_id, *row.values) for row in found]  # type: ignore[misc]


@pytest.mark.parametrize(
    "content",
    [
        HEAD + b'10,"[1, 2]"\nx,authentic\n',
        HEAD + b'10,"[1, 2]"\nx,authentic',  # no newline at the end
        b"\xef\xbb\xbf" + HEAD + b'10,"[1, 2]"\nx,authentic\n',
        (HEAD + b'10,"[1, 2]"\nx,authentic\n').replace(b"\n", b"\r\n"),
        b"annotation,case_id\n" + b'"[1, 2]",10\nauthentic,x\n',
        b",case_id,note,annotation\n" + b'0,10,,"[1, 2]"\n1,x,,authentic\n',
        b'"case_id","annotation"\n\n"10","[1, 2]"\n\n"x","authentic"\n\n',
    ],
)
def test_accepted_forms(tmp_path: Path, content: bytes) -> None:
    assert values(read(tmp_path, content)) == [("10", "[1, 2]"), ("x", "authentic")]


def test_lines_are_those_of_an_editor(tmp_path: Path) -> None:
    found = read(tmp_path, HEAD + b'a,x\n\nb,"one\ntwo\nthree"\nc,x\n')
    assert [(row.case_id, row.line) for row in found] == [("a", 2), ("b", 4), ("c", 7)]


def test_accents_have_one_spelling(tmp_path: Path) -> None:
    found = read(tmp_path, HEAD + "e\u0301,x\n\u00e9,x\n".encode())
    assert found[0].case_id == found[1].case_id == "\u00e9"


@pytest.mark.parametrize(
    ("row", "case_id", "fault", "mend"),
    [
        (b"10,[1, 2, 3, 4]\n", "10", "5 fields, the first line 2", "double quotes"),
        (b"10\n", "10", "1 of 2 fields", "case_id, annotation"),
        (b",authentic\n", "", "no id", "case_id"),
        (b"  ,authentic\n", "", "no id", "case_id"),
    ],
)
def test_rows_that_cannot_be_split(
    tmp_path: Path, row: bytes, case_id: str, fault: str, mend: str
) -> None:
    found = read(tmp_path, HEAD + row + b"y,authentic\n")
    assert (found[0].case_id, found[0].line, found[0].values) == (case_id, 2, ())
    assert fault in found[0].fault
    assert mend in found[0].mend
    assert values(found[1:]) == [("y", "authentic")]


@pytest.mark.parametrize(
    ("content", "what"),
    [
        (b"", "is empty"),
        (b"\n\n", "is empty"),
        (b"id,rle\n1,2\n", "no column case_id (the first line names 'id', 'rle')"),
        (b"case_id,rle\n1,2\n", "no column annotation"),
        (b"case_id;annotation\n1;2\n", "no column case_id (the first line names 'case_id;ann"),
        (b"case_id, annotation\n1,2\n", "no column annotation (the first line names 'case_id', ' "),
        (b"case_id,annotation,case_id\n1,2,3\n", "two columns case_id"),
        ((HEAD + b"1,authentic\n").decode().encode("utf-16"), "line 1: the text is UTF-16"),
        ((HEAD + b"1,authentic\n").decode().encode("utf-16-le"), "line 1 holds a NUL"),
        (HEAD + b"1,authentic\n" + "é,authentic\n".encode("latin-1"), "line 3 is not UTF-8 (byte"),
        (HEAD + b"1,\0\n", "line 2 holds a NUL"),
        (b"PK\x03\x04 and so on", "ZIP archive or a spreadsheet"),
        (HEAD + b'1,authentic\n2,"[1, 2]\n3,authentic\n', "the row that begins in line 3"),
        (HEAD + b'1,"[1, 2]" and more\n', "the row that begins in line 2"),
        ((HEAD + b"1,authentic\n").replace(b"\n", b"\r"), "not valid CSV"),
    ],
)  # fmt: skip
def test_files_that_cannot_be_used(tmp_path: Path, content: bytes, what: str) -> None:
    with pytest.raises(ForgeError) as caught:
        read(tmp_path, content)
    assert what in caught.value.what
    assert caught.value.mend
    assert caught.value.file == tmp_path / "sub.csv"


@pytest.mark.parametrize("name", ["missing.csv", "."])
def test_files_that_cannot_be_opened(tmp_path: Path, name: str) -> None:
    with pytest.raises(ForgeError, match="cannot be read"):
        list(read_rows(tmp_path / name, ("annotation",)))


def test_long_annotations(tmp_path: Path) -> None:
    before = csv.field_size_limit()
    text = "[" + ", ".join(f"{2 * i + 1}, 1" for i in range(100_000)) + "]"
    assert len(text) > 1_000_000
    assert values(read(tmp_path, HEAD + f'a,"{text}"\n'.encode())) == [("a", text)]
    assert csv.field_size_limit() == before


def test_longest_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rows, "LONGEST_LINE", 100)
    with pytest.raises(ForgeError, match="line 2 is longer than 100 bytes"):
        read(tmp_path, HEAD + b"a," + b"9" * 200 + b"\n")
    with pytest.raises(ForgeError, match="field larger than field limit"):
        read(tmp_path, HEAD + b'a,"' + b"9\n" * 200 + b'"\n')
