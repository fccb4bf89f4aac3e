from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest

from forgecli.errors import UsageError
from forgecli.synth.recipe import Mix, Paste, Recipe, load_recipe, recipe_text, weights_of


def test_no_file_means_the_defaults() -> None:
    assert load_recipe(None) == Recipe()


def test_a_recipe_survives_its_text(tmp_path: Path) -> None:
    recipe = dataclasses.replace(Recipe(), mix=Mix(object=3, blot=0.5), paste=Paste(trials=7))
    file = tmp_path / "recipe.toml"
    file.write_text(recipe_text(recipe), encoding="utf-8")
    assert load_recipe(file) == recipe


def test_what_is_not_said_keeps_its_default(tmp_path: Path) -> None:
    file = tmp_path / "recipe.toml"
    file.write_text("[mix]\nobject = 1\n\n[finish]\njpeg-range = [50, 60]\n", encoding="utf-8")
    recipe = load_recipe(file)
    assert recipe.mix == Mix(object=1)
    assert recipe.finish.jpeg_range == (50, 60)
    assert recipe.tone == Recipe().tone


def test_the_environment_has_no_say(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FORGE_MIX_OBJECT", "17")
    assert load_recipe(None) == Recipe()


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("[mix]\nobjct = 1", "did you mean object"),
        ("[mixes]\nobject = 1", "did you mean mix"),
        ("object = 1", "object"),
        ("[mix]\nobject = -1", "greater than or equal to 0"),
        ("[geometry]\nrotate = 1.5", "less than or equal to 1"),
        ("[tone]\nblur_range = [3, 1]", "within 0 and 20"),
        ("[tone]\nblur_range = [1]", "blur_range"),
        ("[finish]\njpeg_range = [50.5, 60]", "jpeg_range"),
        ("[count]\ncopies = [0, 0]", "no weight above 0"),
        ("[paste]\nhard = 0\nfeather = 0\npoisson = 0", "no weight above 0"),
        ("[mix", "TOML"),
    ],
)
def test_mistakes_are_named(tmp_path: Path, text: str, said: str) -> None:
    file = tmp_path / "recipe.toml"
    file.write_text(text, encoding="utf-8")
    with pytest.raises(UsageError, match=r"recipe\.toml") as caught:
        load_recipe(file)
    assert said in str(caught.value)


def test_negatives_may_be_switched_off(tmp_path: Path) -> None:
    file = tmp_path / "recipe.toml"
    weights = "plain = 0\nchannels = 0\nreplicates = 0\nlookalikes = 0\ninset = 0"
    file.write_text(f"[negatives]\nshare = 0\n{weights}", encoding="utf-8")
    assert load_recipe(file).negatives.share == 0
    file.write_text(f"[negatives]\nshare = 0.1\n{weights}", encoding="utf-8")
    with pytest.raises(UsageError, match="no weight"):
        load_recipe(file)


def test_weights_are_told_from_other_numbers() -> None:
    assert set(weights_of(Paste())) == {"feather", "hard", "poisson"}
    assert set(weights_of(Mix())) == {field.name for field in dataclasses.fields(Mix)}
