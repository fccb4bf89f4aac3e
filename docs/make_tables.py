"""Write the tables of the documents from the results of the benches.

    python docs/make_tables.py [--check]

In docs/*.md, what stands between `<!-- table NAME -->` and `<!-- end NAME -->` is replaced by the
table of that name, made from bench/results/*.json. With --check nothing is written: it ends with 1
and names the documents that are not up to date. A test does the same.
"""

from __future__ import annotations

import argparse
import json
import re
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
RESULTS = ROOT / "bench" / "results"

if str(ROOT) not in sys.path:  # the benches are not installed with the packages
    sys.path.insert(0, str(ROOT))

_BLOCK = re.compile(r"^<!-- (table|end) ([a-z0-9-]+) -->$", re.MULTILINE)


def markdown(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A table; names in the first column, figures in the others."""
    lines = [list(header), ["---"] + ["--:"] * (len(header) - 1), *map(list, rows)]
    return "\n".join("| " + " | ".join(map(_cell, line)) + " |" for line in lines)


def models(found: Mapping[str, Any]) -> str:
    """The named systems side by side, as `bench.models` prints them."""
    from bench.models import HEADER, baseline, row

    systems = found["systems"]
    return markdown(HEADER, [baseline(systems), *(row(name, systems[name]) for name in systems)])


def predict(found: Mapping[str, Any]) -> str:
    """`forge predict` on the CPU beside what people run: what `bench.predict` printed."""
    about, network = found["set"], found["network"]
    sizes = about["megapixels"]
    rows = []
    for name, one in found["contenders"].items():
        versus = one["times_as_fast_as"]
        cold, rate = one["cold_seconds_one_file"], one["images_per_second_without_start"]
        rows.append([
            name,
            f"{one['images_per_second']:.2f}",
            "" if rate is None else f"{rate:.2f}",
            f"{one['cpu_seconds_per_image']:.3f}",
            *(_ratio(versus.get(peer)) for peer in ("peer A: notebook", "peer B: DataLoader")),
            _ratio(one["of_limit"]),
            "" if cold is None else f"{cold:.1f}",
        ])  # fmt: skip
    header = ("contender", "images/s", "without start", "CPU s/image", "times peer A",
              "times peer B", "of the limit", "cold start s")  # fmt: skip
    said = (
        f"{about['files']} files of {sizes['least']:.1f} to {sizes['most']:.1f} Mpx (median "
        f"{sizes['median']:.2f}), {about['none']} without regions, {about['few']} with up to 5, "
        f"{about['many']} with more; {_network(network)}; {found['rounds']} rounds. "
        f"{machine(found['machine'], found['libraries'])}"
    )
    return f"{markdown(header, rows)}\n\n{said}"


def gpu(found: Mapping[str, Any]) -> str:
    """What `bench.gpu` measured, part by part."""
    rows = []
    for name, part in found["parts"].items():
        if part["status"] != "done":
            rows.append([name, part["status"], part["reason"]])
        rows += [[name, label, figure] for label, figure in part.get("figures", {}).items()]
    said = f"{found['device']}. {machine(found['machine'], found['libraries'])}"
    return f"{markdown(('part', 'what', 'figure'), rows)}\n\n{said}"


def machine(facts: Mapping[str, Any], libraries: Mapping[str, str]) -> str:
    """Where and with what a bench ran, in a sentence."""
    versions = {**facts["versions"], **libraries}
    named = ", ".join(f"{name} {versions[name]}" for name in versions if name != "python")
    return (
        f"{facts['cpu']}, {facts['cores']} cores, {facts['date']}, Python {versions['python']}, "
        f"{named}."
    )


TABLES: dict[str, tuple[Callable[[Mapping[str, Any]], str], str]] = {
    "models": (models, "`python -m bench.models` has not been run."),
    "predict": (predict, "`python -m bench.predict` has not been run."),
    "gpu": (gpu, "`python -m bench.gpu` has not been run on a GPU."),
}
"""By name: what makes the table of the results in NAME.json, and what stands there without them."""


def table(name: str, results: Path = RESULTS) -> str:
    """The table of a name, Markdown.

    Raises:
        KeyError: there is no table of this name, or its results lack something.
    """
    from bench import accuracy_tables

    if name in {**accuracy_tables.TABLES, **accuracy_tables.JUDGE_TABLES}:
        return accuracy_tables.block(name, results)
    make, missing = TABLES[name]
    file = results / f"{name}.json"
    if not file.exists():
        return missing
    return make(json.loads(file.read_text(encoding="utf-8")))


def renewed(text: str, make: Callable[[str], str] = table) -> str:
    """A document with its tables made anew.

    Raises:
        ValueError: a block is not closed, or is closed by another name.
    """
    parts: list[str] = []
    end, opened = 0, ""
    for mark in _BLOCK.finditer(text):
        kind, name = mark.groups()
        if (kind == "end") != bool(opened) or (opened and name != opened):
            raise ValueError(f"{mark.group()}: blocks open and close by the same name, in turn")
        if kind == "table":
            parts += [text[end : mark.end()], f"\n\n{make(name)}\n\n"]
            opened = name
        else:
            opened = ""
        end = mark.end() if kind == "table" else mark.start()
    if opened:
        raise ValueError(f"<!-- table {opened} --> is not closed")
    return "".join([*parts, text[end:]])


def outdated(folder: Path) -> dict[Path, str]:
    """The documents whose tables differ from the results, with what they should hold."""
    found = {}
    for file in sorted(folder.glob("*.md")):
        text = file.read_text(encoding="utf-8")
        new = renewed(text)
        if new != text:
            found[file] = new
    return found


def _ratio(quartiles: Sequence[float] | None) -> str:
    if not quartiles:
        return ""
    low, middle, high = quartiles
    return f"{middle:.2f} ({low:.2f} - {high:.2f})"


def _network(facts: Mapping[str, Any]) -> str:
    if "model" not in facts:
        return str(facts.get("file", "a network"))
    return f"{facts['model']} on {facts['encoder']} at {facts['size']} px"


def _cell(text: str) -> str:
    return text.replace("|", "\\|").replace("\n", " ")


def main() -> None:
    """Write the documents, or say which are behind."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--check", action="store_true", help="write nothing")
    asked = parser.parse_args()
    behind = outdated(ROOT / "docs")
    for file, text in behind.items():
        if asked.check:
            sys.stdout.write(f"docs/{file.name}: run python docs/make_tables.py\n")
        else:
            file.write_text(text, encoding="utf-8")
    if asked.check and behind:
        sys.exit(1)


if __name__ == "__main__":
    main()
