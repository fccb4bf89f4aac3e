"""The job with the fake detector as a program, for tests that send signals to it."""

from __future__ import annotations

import sys
from pathlib import Path

from forgecli import console
from tests.predict.fakes import job

if __name__ == "__main__":
    folder, output, workers = sys.argv[1:]
    summary = job(
        Path(folder),
        Path(output),
        workers=int(workers),
        overlays=Path(output).parent / "overlays",
        voice=console,  # type: ignore[arg-type]
    )
    sys.exit(summary.exit_code)
