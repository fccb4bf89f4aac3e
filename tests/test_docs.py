"""What the documents say is what the program does."""

from __future__ import annotations

import re
import runpy
import shlex
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from typer.main import get_command

import forgecli
from forgecli.app import app

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")
PROGRAM = [sys.executable, "-c", "from forgecli.app import main; main()"]
LARGEST_PICTURE = 400 * 1024


def blocks(language: str) -> list[str]:
    """The code blocks of README.md in a language."""
    return re.findall(rf"^```{language}\n(.*?)^```", README, re.MULTILINE | re.DOTALL)


def marked_block(name: str) -> str:
    """The block below the comment ``<!-- NAME -->``, which `.ci/run` runs as well."""
    found = re.search(rf"^<!-- {name} -->\n```sh\n(.*?)^```", README, re.MULTILINE | re.DOTALL)
    assert found, f"README.md has no block {name}"
    return found.group(1)


def forge_lines(text: str) -> list[list[str]]:
    """The arguments of every `forge` on the lines of shell commands."""
    commands = [part.split(">")[0] for line in text.splitlines() for part in line.split("|")]
    return [shlex.split(each)[1:] for each in commands if each.split()[:1] == ["forge"]]


def test_the_reference_of_the_command_line_is_up_to_date() -> None:
    made: str = runpy.run_path(str(ROOT / "docs" / "make_cli.py"))["reference"]()
    kept = (ROOT / "docs" / "cli.md").read_text(encoding="utf-8")
    assert kept == made, "run python docs/make_cli.py"


def test_the_reference_names_every_option() -> None:
    text = (ROOT / "docs" / "cli.md").read_text(encoding="utf-8")
    group: Any = get_command(app)
    for name, command in group.commands.items():
        chapter = text.split(f"## forge {name}\n")[1].split("\n## ")[0]
        for parameter in command.params:
            for option in [*parameter.opts, *parameter.secondary_opts]:
                assert not option.startswith("-") or option in chapter, f"{name} {option}"


@pytest.mark.parametrize("line", forge_lines("\n".join(blocks("sh"))), ids=" ".join)
def test_commands_in_the_readme_parse(line: list[str]) -> None:
    group: Any = get_command(app)
    command = group.commands[line[0]]
    command.make_context(line[0], line[1:])  # raises for what the command does not know


def test_there_are_commands_in_the_readme() -> None:
    assert {line[0] for line in forge_lines("\n".join(blocks("sh")))} >= {"predict", "score"}


def test_files_that_the_readme_names_are_there() -> None:
    named = re.findall(r"\]\(([^)#:]+)\)|src=\"([^\"]+)\"", README)
    paths = [ROOT / (link or picture) for link, picture in named]
    assert paths
    assert [str(path.relative_to(ROOT)) for path in paths if not path.exists()] == []


def test_chapters_that_the_readme_refers_to_are_there() -> None:
    chapters = {
        re.sub(r"[^\w -]", "", heading).lower().replace(" ", "-")
        for heading in re.findall(r"^#+ (.*)$", README, re.MULTILINE)
    }
    assert set(re.findall(r"\]\(#([^)]+)\)", README)) <= chapters


def test_pictures_of_the_documents_are_small() -> None:
    for picture in (ROOT / "docs").rglob("*.png"):
        assert picture.stat().st_size < LARGEST_PICTURE, picture.name


def test_one_version_everywhere() -> None:
    citation = (ROOT / "CITATION.cff").read_text(encoding="utf-8")
    changes = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    assert f"\nversion: {forgecli.__version__}\n" in citation
    assert re.findall(r"^## \[(\d[^]]*)\]", changes, re.MULTILINE)[0] == forgecli.__version__


FEW = ("cell_copied", "tissue_authentic")
"""Example figures that take little time, one of each class."""


@pytest.mark.slow
def test_the_first_run_of_the_readme(tmp_path: Path) -> None:
    """Its commands as they are written, but for the installation, on a few of the examples."""
    figures = tmp_path / "examples" / "figures"
    figures.mkdir(parents=True)
    for name in FEW:
        shutil.copy(ROOT / "examples" / "figures" / f"{name}.png", figures)
    truth = (ROOT / "examples" / "truth.csv").read_text(encoding="utf-8").splitlines()
    kept = [row for row in truth if row.split(",")[0] in ("case_id", *FEW)]
    (tmp_path / "examples" / "truth.csv").write_text("\n".join(kept) + "\n", encoding="utf-8")

    lines = forge_lines(marked_block("first-run"))
    assert [line[0] for line in lines] == ["predict", "score"]
    for line in lines:
        done = subprocess.run([*PROGRAM, *line], cwd=tmp_path, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr

    total = next(row.split() for row in done.stdout.splitlines() if row.startswith("all "))
    images, score, all_authentic = int(total[1]), float(total[2]), float(total[3])
    assert images == len(FEW)
    assert score > all_authentic
    overlays = (tmp_path / "runs" / "overlays").iterdir()
    assert [picture.name for picture in overlays] == ["cell_copied.png"]


@pytest.mark.slow
def test_the_python_of_the_readme() -> None:
    (code,) = blocks("python")
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert re.search(r"^\[\d+, \d+", done.stdout, re.MULTILINE), "an annotation is printed"


def test_tables_of_the_documents_are_up_to_date() -> None:
    make = runpy.run_path(str(ROOT / "docs" / "make_tables.py"), run_name="make_tables")
    behind = [file.name for file in make["outdated"](ROOT / "docs")]
    assert behind == [], "run python docs/make_tables.py"
