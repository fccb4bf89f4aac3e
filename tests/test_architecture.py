"""What the packages may import, what no file may contain, and what the program costs to start."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from collections.abc import Iterator
from importlib.metadata import PackageNotFoundError, files, requires
from pathlib import Path

import pytest
from typer.main import get_command

from forgecli.app import app

ROOT = Path(__file__).parents[1]
PACKAGES = ("kernels", "engines", "forgecli")
MAY_IMPORT = {
    "kernels": {"kernels"},
    "engines": {"engines", "kernels"},
    "forgecli": {"forgecli", "engines", "kernels"},
}
SOURCES = sorted(path for package in PACKAGES for path in (ROOT / package).rglob("*.py"))
OTHERS = sorted(
    path
    for folder in ("tests", "bench", "examples")
    for path in (ROOT / folder).rglob("*.py")
    if (ROOT / folder).exists()
)
HEAVY = ("torch", "cupy", "numba", "cv2", "scipy", "kernels", "engines", "tensorrt")
LIGHT = ("typer", "rich")


def name_of(path: Path) -> str:
    return str(path.relative_to(ROOT))


def tree_of(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"), str(path))


def imports(tree: ast.AST, path: Path) -> Iterator[str]:
    """Full names of the modules that a file imports, wherever in it."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}:{node.lineno}: relative import"
            assert node.module is not None
            yield node.module
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


@pytest.mark.parametrize("path", SOURCES, ids=name_of)
def test_packages_import_downwards_only(path: Path) -> None:
    own = path.relative_to(ROOT).parts[0]
    for module in imports(tree_of(path), path):
        top = module.split(".")[0]
        assert top not in PACKAGES or top in MAY_IMPORT[own], f"{name_of(path)} imports {module}"
        assert top not in ("tests", "bench", "examples"), f"{name_of(path)} imports {module}"


@pytest.mark.parametrize("path", [p for p in SOURCES if p.parts[-2] == "kernels"], ids=name_of)
def test_kernels_know_arrays_only(path: Path) -> None:
    known = {"numpy", "numba", "kernels"}
    foreign = {name.split(".")[0] for name in imports(tree_of(path), path)}
    assert foreign - known <= set(sys.stdlib_module_names), name_of(path)


def unit_of(module: str) -> str | None:
    """The package below `forgecli` that a module belongs to, or the module itself."""
    parts = module.split(".")
    if parts[0] != "forgecli" or len(parts) < 2:
        return None
    return parts[1]


def test_no_cycles_between_the_packages_of_forgecli() -> None:
    uses: dict[str, set[str]] = {}
    for path in (path for path in SOURCES if path.is_relative_to(ROOT / "forgecli")):
        unit = path.relative_to(ROOT / "forgecli").parts[0].removesuffix(".py")
        known = {p.name.removesuffix(".py") for p in (ROOT / "forgecli").iterdir()}
        for module in imports(tree_of(path), path):
            other = unit_of(module)
            if other in known and other != unit:
                uses.setdefault(unit, set()).add(other)

    def reaches(start: str) -> Iterator[list[str]]:
        stack = [[start]]
        while stack:
            way = stack.pop()
            for other in uses.get(way[-1], ()):
                if other == start:
                    yield [*way, other]
                elif other not in way:
                    stack.append([*way, other])

    cycles = [" -> ".join(way) for unit in uses for way in reaches(unit)]
    assert not cycles, cycles


def dangers(tree: ast.AST) -> Iterator[tuple[int, str]]:
    """Line and name of what runs code from data, or hides a failure to check it."""
    unsafe_keywords = {"allow_pickle": True, "weights_only": False, "shell": True}
    for node in ast.walk(tree):
        if isinstance(node, ast.Import | ast.ImportFrom):
            names = [alias.name for alias in node.names]
            names += [node.module or ""] if isinstance(node, ast.ImportFrom) else []
            for name in names:
                if name.split(".")[0] in (
                    "pickle",
                    "cPickle",
                    "dill",
                    "joblib",
                    "marshal",
                    "shelve",
                ):
                    yield node.lineno, name
        elif isinstance(node, ast.Call):
            function = node.func
            if isinstance(function, ast.Name) and function.id in ("eval", "exec", "__import__"):
                yield node.lineno, function.id
            if isinstance(function, ast.Attribute):
                owner = function.value.id if isinstance(function.value, ast.Name) else ""
                if (owner, function.attr) in (("os", "system"), ("os", "popen")):
                    yield node.lineno, f"{owner}.{function.attr}"
            for keyword in node.keywords:
                if keyword.arg in unsafe_keywords and not (
                    isinstance(keyword.value, ast.Constant)
                    and keyword.value.value is not unsafe_keywords[keyword.arg]
                ):
                    yield node.lineno, f"{keyword.arg}={ast.unparse(keyword.value)}"


@pytest.mark.parametrize("path", SOURCES + OTHERS, ids=name_of)
def test_no_code_from_data(path: Path) -> None:
    found = list(dangers(tree_of(path)))
    if path.is_relative_to(ROOT / "tests"):  # tests make the hostile files that must be refused
        found = [(line, what) for line, what in found if "allow_pickle" not in what]
    assert not found, f"{name_of(path)}: {found}"


@pytest.mark.parametrize(
    ("code", "what"),
    [
        ("import pickle", "pickle"),
        ("from pickle import loads", "pickle"),
        ("np.load(f, allow_pickle=True)", "allow_pickle=True"),
        ("np.load(f, allow_pickle=flag)", "allow_pickle=flag"),
        ("torch.load(f, weights_only=False)", "weights_only=False"),
        ("subprocess.run(c, shell=True)", "shell=True"),
        ("eval(x)", "eval"),
        ("os.system(x)", "os.system"),
    ],
)
def test_dangers_are_seen(code: str, what: str) -> None:
    assert what in [name for _, name in dangers(ast.parse(code))]


def test_harmless_code_is_not() -> None:
    code = "np.load(f, allow_pickle=False); torch.load(f, weights_only=True); model.eval()"
    assert list(dangers(ast.parse(code))) == []


@pytest.mark.parametrize("path", SOURCES, ids=name_of)
def test_arrays_are_loaded_without_pickle(path: Path) -> None:
    for node in ast.walk(tree_of(path)):
        if (
            isinstance(node, ast.Call)
            and isinstance(node.func, ast.Attribute)
            and node.func.attr == "load"
            and isinstance(node.func.value, ast.Name)
            and node.func.value.id in ("np", "numpy")
        ):
            given = [keyword.arg for keyword in node.keywords]
            assert "allow_pickle" in given, f"{name_of(path)}:{node.lineno}: say allow_pickle=False"


def dependencies() -> list[str]:
    """Names of the distributions that a plain install brings, all the way down."""
    found: set[str] = set()
    waiting = ["forgecli"]
    while waiting:
        for line in requires(waiting.pop()) or ():
            name = re.split(r"[^A-Za-z0-9._-]", line, maxsplit=1)[0]
            if "extra ==" in line or name in found:
                continue
            try:
                files(name)
            except PackageNotFoundError:  # not for this platform
                continue
            found.add(name)
            waiting.append(name)
    return sorted(found)


def test_no_dependency_ships_packages_of_our_names() -> None:
    names = dependencies()
    assert {"numpy", "numba", "llvmlite"} <= set(names), "the search itself works"
    for name in names:
        tops = {path.parts[0] for path in files(name) or ()}
        assert not tops & {"kernels", "engines", "forgecli"}, name


def loaded_by(code: str) -> set[str]:
    done = subprocess.run(
        [sys.executable, "-c", code + "; import sys; print('\\n'.join(sys.modules))"],
        capture_output=True,
        text=True,
        check=True,
        cwd=ROOT,
    )
    return {line.split(".")[0] for line in done.stdout.splitlines() if line.isidentifier()}


@pytest.mark.parametrize(
    "code",
    [
        "import forgecli",
        "import forgecli.app",
        "import typer.testing; from forgecli.app import app; "
        "assert typer.testing.CliRunner().invoke(app, ['--help']).exit_code == 0",
        "import typer.testing; from forgecli.app import app; "
        "assert typer.testing.CliRunner().invoke(app, ['predict', '--help']).exit_code == 0",
    ],
    ids=["package", "app", "help", "help of predict"],
)
def test_help_loads_nothing_heavy(code: str) -> None:
    assert loaded_by(code).isdisjoint(HEAVY)


def test_importing_the_package_loads_not_even_the_command_line() -> None:
    assert loaded_by("import forgecli").isdisjoint(HEAVY + LIGHT + ("numpy",))


def commands() -> dict[str, list[str]]:
    """Names of the registered commands and the options of each."""
    group = get_command(app)
    assert hasattr(group, "commands")
    return {
        name: [option for parameter in command.params for option in parameter.opts]
        for name, command in group.commands.items()
    }


def commands_chapter() -> str:
    """The chapter `## Commands` of README.md."""
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    found = re.search(r"^## Commands$(.*?)(?=^## |\Z)", text, re.MULTILINE | re.DOTALL)
    assert found, "README.md has no chapter '## Commands'"
    return found.group(1)


def test_every_command_is_documented() -> None:
    chapter = commands_chapter()
    assert commands(), "there are commands"
    missing = [name for name in commands() if f"forge {name}" not in chapter]
    assert not missing, f"not in the chapter Commands of README.md: {missing}"


def test_every_option_is_documented() -> None:
    text = commands_chapter()
    missing = [
        f"{name} {option}"
        for name, options in commands().items()
        for option in options
        if option.startswith("--") and not re.search(re.escape(option) + r"(?![\w-])", text)
    ]
    assert not missing, f"not in the chapter Commands of README.md: {missing}"
