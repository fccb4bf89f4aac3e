"""Defaults < TOML < environment < flags; unknown names are refused with the nearest known."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any, Literal

import pytest
from pydantic import Field

from forgecli.config import read_config, resolve
from forgecli.errors import UsageError


@dataclass(frozen=True)
class Settings:
    min_area: Annotated[int, Field(ge=0)] = 1
    threshold: float = field(default=0.5, metadata={"why": "half"})
    mode: Literal["fast", "good"] = "fast"
    output: Path | None = None
    overwrite: bool = False


def settings(
    toml: dict[str, Any] | None = None,
    environment: dict[str, str] | None = None,
    **flags: Any,
) -> Settings:
    return resolve(
        Settings,
        "predict",
        config={"predict": toml or {}, "match": {"other": 1}},
        file=Path("forge.toml"),
        environment=environment or {},
        flags=flags,
    )


def test_each_source_wins_over_those_before() -> None:
    assert settings() == Settings()
    assert settings({"min_area": 2}).min_area == 2
    assert settings({"min_area": 2}, {"FORGE_PREDICT_MIN_AREA": "3"}).min_area == 3
    assert settings({"min_area": 2}, {"FORGE_PREDICT_MIN_AREA": "3"}, min_area=4).min_area == 4
    assert settings({"min_area": 2}, min_area=None).min_area == 2, "a flag that was not given"


def test_a_worse_value_that_loses_does_not_matter() -> None:
    assert settings({"min_area": -1}, min_area=4).min_area == 4


def test_names_and_types() -> None:
    found = settings(
        {"min-area": 7, "output": "a/b.csv"},
        {"FORGE_PREDICT_OVERWRITE": "true", "FORGE_SHARED": "x", "FORGE_MATCH_MIN_AREA": "9"},
    )
    assert found == Settings(min_area=7, output=Path("a/b.csv"), overwrite=True)


@pytest.mark.parametrize(
    ("given", "said"),
    [
        (
            {"toml": {"min-aera": 1}},
            r"forge.toml: unknown key 'min-aera' in \[predict\]. .*min_area",
        ),
        ({"toml": {"zzz": 1}}, "known here: min_area, threshold, mode, output, overwrite"),
        ({"environment": {"FORGE_PREDICT_TRESHOLD": "1"}}, "FORGE_PREDICT_THRESHOLD"),
        ({"toml": {"min-area": "many"}}, r"forge.toml: \[predict\] min-area: .* Got: 'many'"),
        ({"environment": {"FORGE_PREDICT_MIN_AREA": "-1"}}, "FORGE_PREDICT_MIN_AREA: .* Got: '-1'"),
        ({"min_area": -1}, "--min-area: .* Got: -1"),
        ({"toml": {"mode": "best"}}, "'fast' or 'good'"),
        ({"toml": {"overwrite": [1]}}, "overwrite"),
    ],
)
def test_what_cannot_be_is_named_with_its_source(given: dict[str, Any], said: str) -> None:
    with pytest.raises(UsageError, match=said):
        settings(**given)


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"[predict]\nx = ", "not a TOML file"),
        (b"\xff\xfe", "not a TOML file"),
        (b"threshold = 1", "unknown key outside a table, 'threshold'"),
        (b"[predcit]\n", "unknown table 'predcit'. did you mean predict"),
        (b"predict = 3\n", r"write \[predict\]"),
    ],
)
def test_bad_files(tmp_path: Path, content: bytes, said: str) -> None:
    file = tmp_path / "forge.toml"
    file.write_bytes(content)
    with pytest.raises(UsageError, match=said):
        read_config(file, ("predict", "match"))


def test_missing_file(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="cannot be read"):
        read_config(tmp_path / "none.toml", ("predict",))


def test_good_file(tmp_path: Path) -> None:
    (tmp_path / "f.toml").write_text("\ufeff[predict]\nworkers = 2\n[match]\n", "utf-8")
    assert read_config(tmp_path / "f.toml", ("predict", "match")) == {
        "predict": {"workers": 2},
        "match": {},
    }
