from __future__ import annotations

from collections import Counter
from pathlib import Path

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from forgecli.errors import UsageError
from forgecli.synth.sources import (
    LazySources,
    SourceFile,
    digest,
    list_sources,
    part_of,
    split_sources,
)
from tests.synth.pictures import nuclei, tissue


def save(path: Path, picture: np.ndarray) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    assert cv2.imwrite(str(path), picture[:, :, ::-1])


def some_files(counts: list[tuple[str, str, int]]) -> list[SourceFile]:
    return [
        SourceFile(
            Path(f"{kind}/{source}{number}.png"), f"{kind}/{source}{number}.png", kind, source
        )
        for kind, source, count in counts
        for number in range(count)
    ]


@settings(max_examples=80, deadline=None)
@given(
    st.lists(
        st.tuples(st.sampled_from("abc"), st.sampled_from("pqrstuvw"), st.integers(1, 20)),
        min_size=1,
        max_size=12,
        unique_by=lambda item: item[:2],
    ),
    st.floats(0, 1),
    st.integers(0, 5),
    st.randoms(use_true_random=False),
)
def test_no_source_is_on_both_sides(counts, share, seed, shuffle) -> None:  # type: ignore[no-untyped-def]
    files = some_files(counts)
    train, test = split_sources(files, test_share=share, seed=seed)
    assert sorted(item.name for item in [*train, *test]) == sorted(item.name for item in files)
    assert not {item.source for item in train} & {item.source for item in test}
    shuffled = list(files)
    shuffle.shuffle(shuffled)
    again = split_sources(shuffled, test_share=share, seed=seed)[1]
    assert {item.name for item in again} == {item.name for item in test}


def test_every_kind_with_several_sources_is_on_both_sides() -> None:
    files = some_files([("cells", f"set{i}", 10) for i in range(10)] + [("blots", "only", 28)])
    train, test = split_sources(files, test_share=0.3)
    assert Counter(item.kind for item in test) == {"cells": 30}
    assert Counter(item.kind for item in train) == {"cells": 70, "blots": 28}


def test_files_of_one_source_can_be_split_too() -> None:
    files = some_files([("blots", "only", 100)])
    train, test = split_sources(files, test_share=0.25, by="file")
    assert len(test) == 25 and len(train) == 75
    assert split_sources(files, test_share=0.25, by="file", seed=1)[1] != test
    with pytest.raises(UsageError, match="no images for test"):
        part_of(files, "test", test_share=0.3)
    with pytest.raises(ValueError, match="0 to 1"):
        split_sources(files, test_share=1.5)


def test_folders_stand_for_kinds_and_sources(tmp_path: Path) -> None:
    save(tmp_path / "cells" / "b.png", nuclei(0))
    save(tmp_path / "blots" / "a.png", nuclei(1))
    found = list_sources(tmp_path)
    assert [(item.name, item.kind, item.source) for item in found] == [
        ("blots/a.png", "blots", "blots"),
        ("cells/b.png", "cells", "cells"),
    ]


def test_a_table_says_where_images_come_from(tmp_path: Path) -> None:
    save(tmp_path / "images" / "cells" / "b.png", nuclei(0))
    save(tmp_path / "images" / "cells" / "c.png", nuclei(1))
    table = tmp_path / "table.csv"
    table.write_text(
        "file,source,kind\nimages/cells/b.png,paper 1,nuclei\ncells/c.png,paper 2,\n", "utf-8"
    )
    found = list_sources(tmp_path / "images", table)
    assert [(item.kind, item.source) for item in found] == [
        ("nuclei", "paper 1"),
        ("cells", "paper 2"),
    ]


@pytest.mark.parametrize(
    ("table", "said"),
    [
        ("file,kind\ncells/b.png,x\n", "no column source"),
        ("name\nx\n", "no column file and no column source"),
        ("file,source\nother.png,x\n", "does not name cells/b.png"),
        (None, "cannot be read"),
    ],
)
def test_bad_tables_are_named(tmp_path: Path, table: str | None, said: str) -> None:
    save(tmp_path / "cells" / "b.png", nuclei(0))
    file = tmp_path / "table.csv"
    if table is not None:
        file.write_text(table, "utf-8")
    with pytest.raises(UsageError, match=said):
        list_sources(tmp_path, file)


def test_there_must_be_pictures(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="no such folder"):
        list_sources(tmp_path / "nowhere")
    with pytest.raises(UsageError, match="no pictures"):
        list_sources(tmp_path)


def test_pixels_are_read_late_and_damage_is_noted(tmp_path: Path) -> None:
    save(tmp_path / "cells" / "a.png", tissue(0))
    (tmp_path / "cells" / "b.png").write_bytes(b"\x89PNG\r\n\x1a\n but no more")
    sources = LazySources(list_sources(tmp_path), cache_bytes=1)
    assert len(sources) == 2 and sources.unreadable == {}
    assert np.array_equal(sources[0], tissue(0))
    assert sources[1].shape == (1, 1, 3)
    assert set(sources.unreadable) == {"cells/b.png"}
    assert np.array_equal(sources[0], tissue(0))  # read again: the cache holds one


def test_the_digest_notices_other_sources(tmp_path: Path) -> None:
    save(tmp_path / "a.png", nuclei(0))
    first = digest(list_sources(tmp_path))
    assert digest(list_sources(tmp_path)) == first
    save(tmp_path / "b.png", nuclei(1))
    assert digest(list_sources(tmp_path)) != first


def test_a_link_to_itself_is_a_file_like_any_other(tmp_path: Path) -> None:
    save(tmp_path / "cells" / "a.png", nuclei(0))
    (tmp_path / "cells" / "self.png").symlink_to("self.png")
    (tmp_path / "t.csv").write_text("file,source\ncells/a.png,one\ncells/self.png,two\n")
    for table in (None, tmp_path / "t.csv"):
        found = list_sources(tmp_path, table)
        assert [file.name for file in found] == ["cells/a.png", "cells/self.png"]
    assert [file.source for file in found] == ["one", "two"]
    assert len(digest(found)) == 64
    sources = LazySources(found)
    assert [sources[0].shape == (1, 1, 3), sources[1].shape] == [False, (1, 1, 3)]
    assert list(sources.unreadable) == ["cells/self.png"]


def test_what_is_missing_is_said_with_a_mend(tmp_path: Path) -> None:
    for folder in (tmp_path, tmp_path / "nowhere"):
        with pytest.raises(UsageError) as raised:
            list_sources(folder)
        assert raised.value.mend
