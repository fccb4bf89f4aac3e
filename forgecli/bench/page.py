"""The findings for a terminal."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from rich.table import Table
from rich.text import Text

from forgecli.bench.findings import Findings


def page(found: Findings) -> Iterator[Table | Text]:
    """What to print, one piece after the other."""
    setup, whole = found.setup, found.whole
    how = f"{setup.engine} on {setup.device}, {setup.precision}" if setup.engine else setup.device
    at_once = _count(setup.workers, "process")
    if setup.shared:
        at_once = f"{_count(setup.workers, 'image')} at a time in one process"
    yield Text.assemble(
        (setup.label, "bold"),
        f"  {how}; {at_once}, {_count(setup.threads, 'thread')} each; "
        f"{setup.pictures} {'images' if setup.own else 'drawn images'}, "
        f"{setup.megapixels:.2f} Mpx on average\n",
    )
    yield _table(("stage", "ms per image", "share"), found.stage_rows())
    yield Text(f"for one image, the others at work; {found.stages.cpu:.3f} CPU seconds an image\n")
    yield _table(("", "images/s", "of the limit"), found.rate_rows())
    lines = [f"started in {whole.start:.1f} s; {whole.flagged} of {whole.images} images flagged"]
    if setup.device == "cpu":
        lines.append(
            f"decoding and the rest share the cores, so {found.shared_limit:.2f} images/s is the "
            "most that can be"
        )
    yield Text("\n".join(lines) + "\n")
    yield Text.assemble(("limits  ", "bold"), found.limited_by)
    for number, line in enumerate(found.advice()):
        yield Text.assemble(("try     " if number == 0 else "        ", "bold"), line)


def _count(number: int, what: str) -> str:
    plural = what + ("es" if what.endswith("s") else "s")
    return f"{number} {what if number == 1 else plural}"


def _table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> Table:
    table = Table(box=None, header_style="bold", padding=(0, 2, 0, 0))
    for column, name in enumerate(header):
        table.add_column(name, justify="left" if column == 0 else "right")
    for row in rows:
        table.add_row(*map(Text, row))
    return table
