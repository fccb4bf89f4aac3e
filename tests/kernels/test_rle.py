from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from kernels import rle
from tests.kernels import reference
from tests.kernels.strategies import LAYOUTS, laid_out, masks, plain_masks, untidy_runs

few = settings(max_examples=150, deadline=None)


@few
@given(masks())
def test_encode_agrees_with_differences(mask: NDArray[Any]) -> None:
    runs = rle.encode(mask)
    assert runs.dtype == np.int64
    assert runs.flags.c_contiguous
    np.testing.assert_array_equal(runs, reference.encode(mask))


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("shape", [(4097, 3), (3, 4097), (16385, 2), (5000, 70)])
def test_encode_beyond_one_chunk_and_one_summary_word(layout: str, shape: tuple[int, int]) -> None:
    mask = np.random.default_rng(5).random(shape) < 0.3
    np.testing.assert_array_equal(rle.encode(laid_out(mask, layout)), reference.encode(mask))


@few
@given(plain_masks())
def test_decode_is_the_inverse(mask: NDArray[np.bool_]) -> None:
    decoded = rle.decode(rle.encode(mask), mask.shape)
    assert decoded.dtype == np.bool_
    assert decoded.flags.c_contiguous
    np.testing.assert_array_equal(decoded, mask)


@few
@given(
    untidy_runs(size=200), untidy_runs(size=200), st.sampled_from([(10, 20), (200, 1), (1, 200)])
)
def test_decode_takes_runs_in_any_order(
    some: NDArray[np.int64], more: NDArray[np.int64], shape: tuple[int, int]
) -> None:
    runs = np.concatenate([some[::-1], more])
    np.testing.assert_array_equal(rle.decode(runs, shape), reference.decode(runs, shape))


@pytest.mark.parametrize(
    "runs",
    [[[-1, 2]], [[0, -1]], [[5, 2]], [[0, 7]], [[7, 0]], [[0, 1], [2**62, 1]], [[1, 2**63 - 1]]],
)
def test_decode_refuses_runs_that_leave_the_mask(runs: list[list[int]]) -> None:
    with pytest.raises(ValueError, match=r"leaves the 2 x 3 mask of 6 pixels\. Got: start "):
        rle.decode(runs, (2, 3))


def test_decode_takes_an_empty_run_at_the_end() -> None:
    assert not rle.decode([[6, 0]], (2, 3)).any()


@pytest.mark.parametrize("shape", [(0, 0), (0, 5), (5, 0)])
def test_a_mask_without_pixels(shape: tuple[int, int]) -> None:
    mask = np.zeros(shape, np.bool_)
    runs = rle.encode(mask)
    assert runs.shape == (0, 2)
    assert rle.decode(runs, shape).shape == shape


@pytest.mark.parametrize(
    "wrong",
    [np.zeros(4, np.bool_), np.zeros((2, 2, 2), np.uint8), np.zeros((2, 2)), np.zeros((2, 2), int)],
)
def test_encode_refuses_what_is_not_a_mask(wrong: NDArray[np.generic]) -> None:
    with pytest.raises(ValueError, match=r"Got: .*\(.*\)$"):
        rle.encode(wrong)  # type: ignore[arg-type]


@pytest.mark.parametrize("wrong", [[1, 2, 3], [[1, 2, 3]], [[1.0, 2.0]], np.zeros((0, 3), int)])
def test_what_is_not_runs_is_refused(wrong: object) -> None:
    with pytest.raises(ValueError, match=r"shape \(k, 2\)\. Got: "):
        rle.as_runs(wrong)  # type: ignore[arg-type]


def test_runs_are_taken_in_any_integer_type_and_order() -> None:
    wide = np.arange(12, dtype=np.int32).reshape(3, 4)
    np.testing.assert_array_equal(rle.as_runs(wide[:, ::2]), [[0, 2], [4, 6], [8, 10]])
    unaligned = np.frombuffer(b"x" + np.array([3, 4]).tobytes(), np.int64, offset=1).reshape(1, 2)
    assert rle.to_text(unaligned) == "[4, 4]"
    assert rle.as_runs([]).shape == (0, 2)


@few
@given(untidy_runs())
def test_canonical_keeps_the_pixels(runs: NDArray[np.int64]) -> None:
    expected = reference.encode(reference.decode(runs, (400, 1)))
    np.testing.assert_array_equal(rle.canonical(runs), expected)


@pytest.mark.parametrize(
    ("runs", "reason"),
    [
        ([[3, 1], [1, 1]], "run 1 starts before the one before it. Got: start 1, length 1"),
        ([[1, 3], [3, 1]], "run 1 overlaps the one before it. Got: start 3, length 1"),
        ([[1, 3], [2, 0]], "run 1 overlaps"),
        ([[1, 1], [1, 0]], "run 1 overlaps"),
        ([[1, 1], [-2, 1]], "run 1 is negative"),
        ([[1, -1]], "run 0 is negative"),
    ],
)
def test_canonical_refuses_what_no_mask_has(runs: list[list[int]], reason: str) -> None:
    with pytest.raises(ValueError, match=reason):
        rle.canonical(runs)


def test_canonical_allows_what_the_metric_allows() -> None:
    np.testing.assert_array_equal(rle.canonical([[1, 0], [1, 2], [3, 1], [9, 0]]), [[1, 3]])


def test_arguments_are_left_alone() -> None:
    mask = np.eye(70, dtype=np.uint8)
    runs = rle.encode(mask)
    before = runs.copy()
    rle.decode(runs, mask.shape)
    rle.canonical(runs)
    rle.to_text(runs)
    np.testing.assert_array_equal(runs, before)
    np.testing.assert_array_equal(mask, np.eye(70))


@few
@given(st.lists(st.tuples(st.integers(0, 10**15), st.integers(0, 10**9)), max_size=30))
def test_text_is_that_of_json(pairs: list[tuple[int, int]]) -> None:
    runs = np.array(pairs, np.int64).reshape(-1, 2)
    text = rle.to_text(runs)
    assert text == json.dumps([value for start, length in pairs for value in (start + 1, length)])
    np.testing.assert_array_equal(rle.from_text(text), runs)


@few
@given(
    st.lists(st.integers(-(2**62) + 1, 2**62 - 1), max_size=30).filter(lambda v: len(v) % 2 == 0),
    st.sampled_from([None, 1, "\t"]),
    st.sampled_from([(", ", ": "), (",", ":"), (" ,\r\n ", ":")]),
    st.booleans(),
)
def test_from_text_reads_numbers_as_they_are_written(
    numbers: list[int], indent: int | str | None, separators: tuple[str, str], as_bytes: bool
) -> None:
    text = " " + json.dumps(numbers, indent=indent, separators=separators) + "\n"
    expected = np.array(numbers, np.int64).reshape(-1, 2)
    expected[:, 0] -= 1
    np.testing.assert_array_equal(rle.from_text(text.encode() if as_bytes else text), expected)


@pytest.mark.parametrize("edge", [1, 9, 10, 99, 100, 10**9, 10**18 - 1, 10**18, 2**62 - 1])
def test_numbers_of_every_width(edge: int) -> None:
    assert rle.to_text([[edge - 1, edge]]) == f"[{edge}, {edge}]"
    np.testing.assert_array_equal(rle.from_text(f"[{edge}, {edge}]"), [[edge - 1, edge]])


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", r"expected '\[' at character 1\. Got: the end of the text"),
        ("authentic", r"expected '\[' at character 1\. Got: 'authentic'"),
        ("nan", r"expected '\[' at character 1"),
        ("1, 2", r"expected '\[' at character 1"),
        ("[1, 2", r"expected ',' or '\]' at character 6\. Got: the end of the text"),
        ("[1 2]", r"expected ',' or '\]' at character 4"),
        ("[1, 2, 3]", r"odd count of numbers, at character 9"),
        ("[1]", r"odd count of numbers, at character 3"),
        ("[1, 2.0]", r"not a fraction or a power at character 5\. Got: '2\.0\]'"),
        ("[1, 2e3]", r"not a fraction or a power at character 5"),
        ("[1, 2E3]", r"not a fraction or a power at character 5"),
        ("[1, ]", r"expected a whole number at character 5\. Got: '\]'"),
        ("[, 1]", r"expected a whole number at character 2"),
        ("[1,, 1]", r"expected a whole number at character 4"),
        ("[NaN, 1]", r"expected a whole number at character 2"),
        ("[null, 1]", r"expected a whole number at character 2"),
        ("[[1, 1]]", r"expected a whole number at character 2"),
        ('["1", 1]', r"expected a whole number at character 2"),
        ("[01, 1]", r"expected a whole number at character 2"),
        ("[-, 1]", r"expected a whole number at character 2"),
        ("[--1, 1]", r"expected a whole number at character 2"),
        ("[+1, 1]", r"expected a whole number at character 2"),
        ("[\u00e91, 1]", "expected a whole number at character 2\\. Got: '\u00e91, 1\\]'"),
        ("[\u0661, 1]", r"expected a whole number at character 2"),
        ("[1, 1", r"Got: the end of the text"),
        ("[1, 1]]", r"expected nothing more after the list at character 7\. Got: '\]'"),
        ("[] []", r"expected nothing more after the list at character 4"),
        ("[1, 1];[2, 1]", r"expected nothing more after the list at character 7"),
        (f"[{2**62}, 1]", r"expected a number that an image can hold at character 2"),
        (f"[1, -{2**62}]", r"expected a number that an image can hold at character 5"),
        (f"[{10**40}, 1]", r"expected a number that an image can hold at character 2"),
        ("[1, 1\x00]", r"expected ',' or '\]' at character 6"),
        ("{}", r"expected '\['"),
    ],
)
def test_from_text_says_what_is_wrong_and_where(text: str, reason: str) -> None:
    with pytest.raises(ValueError, match=reason):
        rle.from_text(text)


@few
@given(st.text(alphabet="[]0123456789,-. \te\u00e9", max_size=12))
def test_from_text_accepts_what_json_accepts(text: str) -> None:
    try:
        values = json.loads(text)
        valid = all(type(value) is int for value in values) and len(values) % 2 == 0
    except (ValueError, TypeError):
        valid = False
    if valid:
        expected = np.array(values, np.int64).reshape(-1, 2) - [[1, 0]]
        np.testing.assert_array_equal(rle.from_text(text), expected)
    else:
        with pytest.raises(ValueError, match="expected"):
            rle.from_text(text)


def test_to_text_refuses_what_is_not_a_run() -> None:
    with pytest.raises(ValueError, match=r"run 1 is not a run\. Got: start -1, length 2"):
        rle.to_text([[0, 1], [-1, 2]])


def test_annotations_are_lists_joined_by_semicolons() -> None:
    instances = [np.array([[0, 2], [4, 1]]), np.array([[7, 3]])]
    text = rle.annotation_to_text(instances)
    assert text == "[1, 2, 5, 1];[8, 3]"
    for back in (rle.annotation_from_text(text), rle.annotation_from_text(text.encode())):
        assert len(back) == 2
        for runs, expected in zip(back, instances, strict=True):
            np.testing.assert_array_equal(runs, expected)


def test_a_fault_in_an_annotation_names_the_instance() -> None:
    with pytest.raises(ValueError, match=r"^instance 2: expected '\[' at character 1\."):
        rle.annotation_from_text("[1, 2];")
    with pytest.raises(ValueError, match=r"^expected a whole number at character 2\."):
        rle.annotation_from_text("[x]")
