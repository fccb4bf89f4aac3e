"""The diagnosis for a terminal."""

from __future__ import annotations

import platform
from collections.abc import Iterator

from rich.table import Table
from rich.text import Text

import forgecli
from forgecli.console import printable
from forgecli.doctor.diagnosis import Diagnosis
from forgecli.doctor.packages import Extra
from forgecli.doctor.verdicts import Verdict

Piece = Text | Table


def page(found: Diagnosis) -> Iterator[Piece]:
    """What to print, one piece after the other, an empty line between them."""
    yield _table("machine", _machine(found))
    yield _table("installed", [_extra(extra) for extra in found.extras])
    yield _table("what will run", [_verdict(way) for way in found.ways])
    if found.models:
        yield _table("files", [_verdict(model) for model in found.models])
    yield _table(
        "folders",
        [
            (
                folder.holds,
                _good(folder.writable, str(folder.path)),
                f"{folder.bytes / 1e6:.1f} MB" if folder.bytes else "",
            )
            for folder in found.folders
        ],
    )
    advice = found.advice()
    if advice:
        lines = "\n".join(f"  {printable(line)}" for line in advice)
        yield Text.assemble(("what to do next\n", "bold"), lines)


def _machine(found: Diagnosis) -> list[tuple[str | Text, ...]]:
    memory = found.memory
    size = f"{memory.total / 2**30:.1f} GiB, {memory.free / 2**30:.1f} GiB free"
    if memory.limit:
        size += f", limited to {memory.limit / 2**30:.1f} GiB"
    rows: list[tuple[str | Text, ...]] = [
        ("forge", f"{forgecli.__version__}, Python {platform.python_version()}"),
        ("processor", f"{printable(found.processor)}, {found.cores} cores usable"),
        ("memory", size if memory.total else "unknown"),
    ]
    driver = found.driver
    if driver.gpus:
        rows += [("GPU", f"{name}, {size / 2**30:.0f} GiB") for name, size in driver.gpus]
        rows.append(("driver", driver.version))
    else:
        rows.append(("GPU", printable(driver.error) or "no NVIDIA driver"))
    cupy = found.answers["cupy"].facts
    if cupy.get("driver"):
        rows.append(("CUDA", f"driver {_cuda(cupy['driver'])}, CuPy {_cuda(cupy['runtime'])}"))
    return rows


def _extra(extra: Extra) -> tuple[str | Text, ...]:
    label = f"forgecli[{extra.name}]" if extra.name else "forgecli"
    if extra.packages is None:
        state = Text("not known to the installed forge", "yellow")
        return label, state, f"install forge again, then {extra.command}"
    if extra.complete:
        named = ", ".join(f"{each.name} {each.found}" for each in extra.packages)
        return label, Text("complete", "green"), named
    lacks = ", ".join(
        f"{each.name} {each.found} is too old ({each.wanted})" if each.too_old else each.name
        for each in extra.packages
        if not each.good
    )
    return label, Text("incomplete", "yellow"), f"missing: {lacks}; {extra.command}"


def _verdict(verdict: Verdict) -> tuple[str | Text, ...]:
    state = Text("yes", "green") if verdict.runs else Text("no", "red" if verdict.broken else "")
    why = verdict.why + (f"; {verdict.mend}" if verdict.mend else "")
    return printable(verdict.name), state, printable(why)


def _good(good: bool, text: str) -> Text:
    return Text(
        printable(text) + ("" if good else " (cannot be written)"), "" if good else "yellow"
    )


def _table(title: str, rows: list[tuple[str | Text, ...]]) -> Table:
    table = Table(
        title=title, title_justify="left", title_style="bold", show_header=False, box=None
    )
    columns = max(len(row) for row in rows)
    for column in range(columns):
        table.add_column(overflow="fold", no_wrap=column == 0)
    for row in rows:
        cells = [Text(cell) if isinstance(cell, str) else cell for cell in row]
        table.add_row(*cells)
    return table


def _cuda(number: int) -> str:
    return f"{number // 1000}.{number % 1000 // 10}"
