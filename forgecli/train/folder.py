"""The files of a run."""

from __future__ import annotations

import csv
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from forgecli.atomic import atomic_writer, check_output_folder
from forgecli.errors import UsageError

Row = Mapping[str, Any]
"""What is known of an epoch: numbers by name. Every row of a run has the same names."""


@dataclass(frozen=True, slots=True)
class RunFolder:
    """Where the files of a run are, below `folder`."""

    folder: Path

    @property
    def config(self) -> Path:
        """The settings, which `forge train --config` reads."""
        return self.folder / "config.toml"

    @property
    def split(self) -> Path:
        """Which image was trained on and which validated on."""
        return self.folder / "split.csv"

    @property
    def best(self) -> Path:
        """The weights of the best epoch; their card is beside them."""
        return self.folder / "best.safetensors"

    @property
    def last(self) -> Path:
        """The weights of the last epoch; their card is beside them."""
        return self.folder / "last.safetensors"

    @property
    def state(self) -> Path:
        """What `--resume` needs."""
        return self.folder / "last.state.safetensors"

    @property
    def metrics(self) -> Path:
        """A line of JSON for every epoch."""
        return self.folder / "metrics.jsonl"

    @property
    def table(self) -> Path:
        """The same as CSV."""
        return self.folder / "metrics.csv"

    @property
    def curves(self) -> Path:
        """The same as a picture."""
        return self.folder / "curves.png"

    @property
    def events(self) -> Path:
        """The folder for TensorBoard."""
        return self.folder / "tensorboard"

    def sample(self, epoch: int) -> Path:
        """The picture of a validation. Epochs count from 1."""
        return self.folder / "samples" / f"epoch-{epoch:03}.png"

    def check(self, *, resume: bool, overwrite: bool) -> None:
        """Find out before the work starts whether the run may be written here.

        Raises:
            UsageError: there is a run and neither is true, or none and `resume` is.
            OutputError: nothing can be written here.
        """
        if self.folder.exists() and not self.folder.is_dir():
            raise UsageError("is a file, not a folder.", file=self.folder, mend="name a folder")
        held = self.config.is_file() or self.best.is_file() or self.state.is_file()
        if resume and not self.state.is_file():
            raise UsageError(
                "holds no run that could be gone on with.",
                file=self.folder,
                mend="leave out --resume to start one",
            )
        if held and not resume and not overwrite:
            raise UsageError(
                "holds a run already.",
                file=self.folder,
                mend="go on with it by --resume, replace it by --overwrite, or name another folder",
            )
        check_output_folder(self.folder, overwrite=True)

    def clear(self) -> None:
        """Remove the files of an earlier run, and nothing else."""
        files = [self.config, self.split, self.metrics, self.table, self.curves, self.state]
        for weights in (self.best, self.last):
            files += [weights, weights.with_suffix(".json")]
        files += self.folder.glob("samples/epoch-*.png")
        files += self.folder.glob("tensorboard/events.out.tfevents.*")
        for file in files:
            file.unlink(missing_ok=True)

    def write_config(self, text: str) -> None:
        """Write the settings."""
        with atomic_writer(self.config) as file:
            file.write(text)

    def write_history(self, rows: Sequence[Row]) -> None:
        """Write what is known of all epochs as JSON lines and as CSV."""
        with atomic_writer(self.metrics) as file:
            for row in rows:
                file.write(json.dumps(row, allow_nan=False) + "\n")
        names = list(dict.fromkeys(name for row in rows for name in row))
        with atomic_writer(self.table, newline="") as file:
            table = csv.DictWriter(file, names, lineterminator="\n")
            table.writeheader()
            table.writerows(rows)
