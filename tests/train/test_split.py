"""Groups and splits: no group on both sides, ever; the same split for the same images."""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from forgecli.cases.failures import Unreadable
from forgecli.cases.groups import group_cases, sources_of, stem_of
from forgecli.cases.split import (
    Member,
    Split,
    read_split,
    shares,
    split_by_fold,
    split_by_share,
    write_split,
)
from forgecli.detection import Case
from forgecli.errors import ForgeError, UsageError

MEMBERS = st.lists(
    st.tuples(st.integers(0, 12), st.sampled_from(["a", "b", "c"])), min_size=2, max_size=60
).map(
    lambda rows: [
        Member(f"id {number}", f"group {group}", (f"class {kind}",))
        for number, (group, kind) in enumerate(rows)
    ]
)


def groups_of(members: list[Member], ids: tuple[str, ...]) -> set[str]:
    return {member.group for member in members if member.case_id in ids}


@settings(max_examples=150)
@given(MEMBERS, st.floats(0.05, 0.95), st.integers(0, 5), st.randoms())
def test_no_group_on_both_sides_whatever_the_order(members, share, seed, random) -> None:  # type: ignore[no-untyped-def]
    if len({member.group for member in members}) < 2:
        with pytest.raises(UsageError, match="1 group, too few"):
            split_by_share(members, share, seed)
        return
    split = split_by_share(members, share, seed)
    assert not groups_of(members, split.train) & groups_of(members, split.validation)
    assert sorted(split.train + split.validation) == sorted(m.case_id for m in members)
    assert split.train and split.validation
    other = list(members)
    random.shuffle(other)
    assert split_by_share(other, share, seed) == split


@settings(max_examples=80)
@given(MEMBERS, st.integers(2, 5), st.integers(0, 3))
def test_folds_validate_on_every_image_once(members, folds, seed) -> None:  # type: ignore[no-untyped-def]
    if len({member.group for member in members}) < folds:
        with pytest.raises(UsageError):
            split_by_fold(members, folds, seed)
        return
    parts = split_by_fold(members, folds, seed)
    assert len(parts) == folds
    validated = [case_id for part in parts for case_id in part.validation]
    assert sorted(validated) == sorted(member.case_id for member in members)
    for part in parts:
        assert part.validation
        assert not groups_of(members, part.train) & groups_of(members, part.validation)


def twins(count: int) -> list[Member]:
    """Forged images with authentic twins, in three rare and common strata."""
    members = []
    for number in range(count):
        domain = "rare" if number % 10 == 0 else "common"
        coverage = f"coverage {number % 4}"
        members += [
            Member(f"f/{number}", f"{number}", ("class forged", coverage, f"domain {domain}")),
            Member(f"a/{number}", f"{number}", ("class authentic", f"domain {domain}")),
        ]
    return members


def test_every_stratum_has_its_share() -> None:
    members = twins(200)
    counted = shares(members, split_by_share(members, 0.2, seed=3))
    assert counted["all"] == (320, 80)
    assert counted["class forged"] == (160, 40)
    assert counted["domain rare"] == (32, 8)
    for number in range(4):
        assert abs(counted[f"coverage {number}"][1] - 10) <= 1


def test_another_seed_is_another_split() -> None:
    members = twins(50)
    assert split_by_share(members, 0.2, 0).hash != split_by_share(members, 0.2, 1).hash


def test_one_huge_group_goes_to_the_larger_side() -> None:
    members = [Member(f"h{n}", "huge") for n in range(70)] + [
        Member(f"s{n}", f"s{n}") for n in range(30)
    ]
    split = split_by_share(members, 0.2, 0)
    assert "huge" not in groups_of(members, split.validation)
    assert 15 <= len(split.validation) <= 30


def test_the_hash_tells_splits_apart_by_ids_and_sides_only() -> None:
    split = Split(("a", "b"), ("c",))
    assert split.hash == Split(("b", "a"), ("c",)).hash
    assert split.hash != Split(("a",), ("b", "c")).hash
    lines = b"a\ttrain\nb\ttrain\nc\tvalidation\n"
    assert split.hash == hashlib.sha256(lines).hexdigest()


@pytest.mark.parametrize("name", ["split.csv", "split.json"])
def test_a_split_comes_back_from_disk(tmp_path: Path, name: str) -> None:
    split = Split(("2", 'a,"b"', "forged/é 10.png"), ("10",))
    write_split(tmp_path / name, split)
    again = read_split(tmp_path / name)
    assert again.hash == split.hash
    assert set(again.train) == set(split.train)


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("s.csv", "id,side\na,train\n"),
        ("s.csv", "case_id,side\na,test\n"),
        ("s.csv", "case_id,side\na,train\na,validation\n"),
        ("s.json", "[]"),
        ("s.json", '{"train": ["a"], "validation": ["a"]}'),
        ("s.json", '{"train": [1], "validation": ["a"]}'),
        ("s.json", "{"),
    ],
)
def test_what_is_no_split_is_refused(tmp_path: Path, name: str, text: str) -> None:
    (tmp_path / name).write_text(text)
    with pytest.raises(ForgeError):
        read_split(tmp_path / name)


def case(path: str) -> Case:
    return Case(path, Path("/set/train_images") / path)


def test_twins_are_one_group() -> None:
    grouping = group_cases([case("forged/10.png"), case("authentic/10.png"), case("forged/9.png")])
    assert grouping.group_of == {"forged/10.png": "10", "authentic/10.png": "10",
                                 "forged/9.png": "9"}  # fmt: skip
    assert (grouping.count, grouping.largest, grouping.joined) == (2, 2, "names")


def test_sources_and_named_groups_join_over_others() -> None:
    cases = [case(f"forged/{number}.png") for number in range(8)]
    sources = {"forged/0.png": ["x"], "forged/1.png": ["x", "y"], "forged/2.png": ["y"]}
    named = {"forged/2.png": "patient", "forged/3.png": "patient"}
    grouping = group_cases(cases, sources, named)
    assert Counter(grouping.group_of.values()) == {"0": 4, "4": 1, "5": 1, "6": 1, "7": 1}
    assert grouping.joined == "sources"


def test_figures_that_would_join_everything_stand_alone() -> None:
    cases = [case(f"forged/{number}.png") for number in range(6)]
    sources = {f"forged/{number}.png": [f"s{number}", f"s{number + 1}"] for number in range(4)}
    sources |= {"forged/4.png": ["s0"], "forged/5.png": ["s0"]}
    auto = group_cases(cases, sources)
    assert auto.joined == "single sources"
    assert auto.group_of["forged/4.png"] == auto.group_of["forged/5.png"]
    assert auto.count == 5
    always = group_cases(cases, sources, join="always")
    assert (always.count, always.largest, always.joined) == (1, 6, "sources")
    assert group_cases(cases, sources, join="never").count == 6


def test_cards_name_sources(tmp_path: Path) -> None:
    (tmp_path / "cards").mkdir()
    twin = Case("x", tmp_path / "train_images" / "authentic" / "7.png")
    assert sources_of(twin) == ()
    card = tmp_path / "cards" / "7.json"
    card.write_text(json.dumps({"sources": ["b.tif", "a.tif", "b.tif"]}))
    assert sources_of(twin) == ("b.tif", "a.tif")
    for text in ("{", "[]", '{"sources": 3}', '{"sources": [3]}'):
        card.write_text(text)
        with pytest.raises(Unreadable):
            sources_of(twin)


def test_stems_are_compared_in_one_spelling() -> None:
    assert stem_of(case("forged/e\u0301.png")) == stem_of(case("authentic/\u00e9.png"))
