from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import typer
from typer.testing import CliRunner

from forgecli.commands import synth
from forgecli.errors import UsageError
from forgecli.synth.recipe import Recipe, load_recipe
from tests.synth.pictures import nuclei, tissue
from tests.synth.test_sources import save

app = typer.Typer()
app.command("synth", help=synth.HELP)(synth.synth)


@pytest.fixture
def authentic(tmp_path: Path) -> Path:
    for seed in range(3):
        save(tmp_path / "authentic" / "nuclei" / f"{seed}.png", nuclei(seed))
        save(tmp_path / "authentic" / "tissue" / f"{seed}.png", tissue(seed))
    return tmp_path / "authentic"


def run(*arguments: object) -> Any:
    return CliRunner().invoke(app, [str(part) for part in arguments], catch_exceptions=False)


def test_a_data_set_is_made_and_summed_up(authentic: Path, tmp_path: Path) -> None:
    folder = tmp_path / "set"
    result = run(authentic, "-o", folder, "--count", 3, "--workers", 1)
    assert result.exit_code == 0
    assert "forged images" in result.output
    assert len(list((folder / "cards").iterdir())) == 3
    again = run(authentic, "-o", folder, "--count", 3, "--workers", 1)
    assert again.exit_code == 0


def test_the_recipe_is_shown_as_it_is_read(tmp_path: Path) -> None:
    result = run("--show-recipe")
    file = tmp_path / "recipe.toml"
    file.write_text(result.output, encoding="utf-8")
    assert load_recipe(file) == Recipe()


def test_cases_that_fail_set_the_exit_code(tmp_path: Path) -> None:
    (tmp_path / "bad").mkdir()
    (tmp_path / "bad" / "a.png").write_bytes(b"\x89PNG\r\n\x1a\n")
    recipe = tmp_path / "recipe.toml"
    recipe.write_text("[negatives]\nshare = 0\n")
    folder = tmp_path / "set"
    result = run(tmp_path / "bad", "-o", folder, "--count", 1, "--recipe", recipe)
    assert result.exit_code == 1


@pytest.mark.parametrize(
    ("arguments", "said"),
    [([], "needed"), (["{authentic}"], "needed"), (["nowhere", "-o", "x"], "no such folder")],
)
def test_wrong_use_is_named(authentic: Path, arguments: list[str], said: str) -> None:
    with pytest.raises(UsageError, match=said):
        run(*[part.format(authentic=authentic) for part in arguments])


def test_training_and_test_share_no_image(authentic: Path, tmp_path: Path) -> None:
    used = {}
    for part in ("train", "test"):
        folder = tmp_path / part
        result = run(
            authentic, "-o", folder, "--count", 2, "--part", part, "--split-by", "file",
            "--workers", 1,
        )  # fmt: skip
        assert result.exit_code == 0
        cards = [json.loads(path.read_text()) for path in (folder / "cards").iterdir()]
        used[part] = {name for card in cards for name in card["sources"]}
    assert used["train"] and used["test"] and not used["train"] & used["test"]


def test_the_command_is_light_to_import() -> None:
    heavy = "{'cv2', 'numba', 'scipy', 'numpy'} & set(sys.modules)"
    code = f"import sys, forgecli.commands.synth; print({heavy})"
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert out.stdout.strip() == "set()"
