"""What an annotation may say, and what is said about one that it may not."""

from __future__ import annotations

import pytest

from forgecli.score import annotation
from forgecli.score.annotation import BadAnnotation, read_annotation

SHAPE = (4, 5)


def test_authentic_has_no_instances() -> None:
    assert read_annotation("authentic", SHAPE) == []


def test_instances_are_canonical() -> None:
    first, second = read_annotation("[1, 2, 3, 2, 9, 0];[20, 1]", SHAPE)
    assert first.tolist() == [[0, 4]]
    assert second.tolist() == [[19, 1]]


@pytest.mark.parametrize(
    "text",
    ["[5, 0, 5, 3]", "[1, 2, 3, 2]", "[1, 20]", "[20, 1]", "[1, 4];[]", "[5, 0]", " [1, 2] "],
)
def test_what_the_competition_allows(text: str) -> None:
    read_annotation(text, SHAPE)


WRONG = [
    # annotation, what is wrong with it, what to do
    ("", "is empty", "write authentic"),
    ("  ", "is empty", "write authentic"),
    ("nan", "'nan'", "write authentic"),
    ("NaN", "'nan'", "write authentic"),
    ("None", "'none'", "write authentic"),
    ("[]", "list is empty", "write authentic"),
    ("[];[]", "list is empty", "write authentic"),
    ("Authentic", "'Authentic'", "write exactly authentic"),
    (" authentic", "' authentic'", "write exactly authentic"),
    ('"authentic"', "authentic", "write exactly authentic"),
    ("forged", "expected '[' at character 1", "[start, length"),
    ("1 4 9 4", "expected '[' at character 1", "[start, length"),
    ('{"counts": [1], "size": [4, 5]}', "JSON object", "[start, length"),
    ("[1, 4", "expected ',' or ']'", "[start, length"),
    ("[1, 4]]", "expected", "[start, length"),
    ("[1, 4],[9, 4]", "expected", "joined by ';'"),
    ("[1, 4];", "instance 2: expected '['", "joined by ';'"),
    ("authentic;[1, 4]", "instance 1: expected '['", "joined by ';'"),
    ("[1, 4, 9]", "odd", "[start, length"),
    ("[1]", "odd", "[start, length"),
    ("[1.0, 4]", "whole number", "whole numbers"),
    ("[1, 4e0]", "whole number", "whole numbers"),
    ("[1, null]", "whole number", "whole numbers"),
    ('["1", "4"]', "whole number", "whole numbers"),
    ("[[1, 4]]", "whole number", "[start, length"),
    ("[１, 4]", "whole number", "whole numbers"),
    ("[99999999999999999999, 1]", "expected a number that an image can hold", "whole numbers"),
    ("[9, 4, 1, 4]", "run 2 (start 1, length 4) starts before the run before it", "sort"),
    ("[1, 4, 3, 2]", "run 2 (start 3, length 2) overlaps the run before it, which ends at pixel 4",
     "join"),
    ("[5, 3, 5, 0]", "run 2 (start 5, length 0) overlaps", "join"),
    ("[1, 4];[2, 2, 2, 2]", "instance 2, run 2 (start 2, length 2) overlaps", "join"),
    ("[0, 4]", "run 1 (start 0, length 4) starts before the first pixel", "count pixels from 1"),
    ("[-3, 4]", "run 1 (start -3, length 4) starts before the first pixel", "count pixels from 1"),
    ("[1, 4, 9, -1]", "run 2 (start 9, length -1) has a negative length", "0 or more"),
    ("[20, 2]", "the last run ends at pixel 21, but the image of 4 x 5", "size of the image"),
    ("[1, 4];[21, 1]", "instance 2, the last run ends at pixel 21", "size of the image"),
    ("[1, 4611686018427387903]", "but the image of 4 x 5", "size of the image"),
]  # fmt: skip


@pytest.mark.parametrize(("text", "what", "mend"), WRONG, ids=[row[0] for row in WRONG])
def test_what_is_wrong_is_named(text: str, what: str, mend: str) -> None:
    with pytest.raises(BadAnnotation) as caught:
        read_annotation(text, SHAPE)
    assert what in caught.value.what
    assert mend in caught.value.mend


def test_without_a_shape_runs_may_end_anywhere() -> None:
    assert len(read_annotation("[20, 2]", None)) == 1


def test_most_instances(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(annotation, "MOST_INSTANCES", 3)
    assert len(read_annotation("[1, 1];[2, 1];[3, 1]", SHAPE)) == 3
    with pytest.raises(BadAnnotation, match="more than 3 instances"):
        read_annotation("[1, 1];[2, 1];[3, 1];[4, 1]", SHAPE)
