"""Programs that `bench.gpu` runs, each with a limit, and what is kept of one that failed."""

from __future__ import annotations

import os
import signal
import subprocess
import tempfile
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any


@dataclass(frozen=True, slots=True)
class Ended:
    """How a program ended.

    Attributes:
        code: its exit code; None if it was ended because its time was over.
        output: stdout and stderr, as far as it came.
    """

    code: int | None
    output: str


def run_within(limit: float, command: Sequence[str], folder: Path) -> Ended:
    """Run a program, and end it after `limit` seconds with all that it has started.

    Its workers hold the GPU, and would hold a pipe too: `subprocess.run` ends the program alone,
    and then waits for them for ever. So it has a session of its own, which is ended as a whole, and
    its output goes to a file.

    Args:
        folder: it is run there.
    """
    environment = {**os.environ, "PYTHONUNBUFFERED": "1"}  # the last words of one that hangs
    with tempfile.TemporaryFile() as said:
        process = subprocess.Popen(
            list(command), cwd=folder, stdin=subprocess.DEVNULL, stdout=said,
            stderr=subprocess.STDOUT, env=environment, start_new_session=True,
        )  # fmt: skip
        code: int | None = None
        try:
            with suppress(subprocess.TimeoutExpired):
                code = process.wait(limit)
        finally:
            with suppress(ProcessLookupError, PermissionError):  # none of them is left
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()
        said.seek(0)
        return Ended(code, said.read().decode(errors="replace"))


def failed(
    reason: str,
    output: str,
    *,
    figures: dict[str, str] | None = None,
    data: dict[str, Any] | None = None,
) -> dict[str, Any]:
    """A part that failed, with the end of what it said."""
    tail = "\n".join(output.splitlines()[-40:])
    return {"status": "failed", "reason": reason, "output": tail, "figures": figures or {},
            "data": data or {}}  # fmt: skip
