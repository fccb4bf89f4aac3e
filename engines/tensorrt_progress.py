"""How far a build is, and how it is stopped."""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any

from engines.tensorrt_library import Library

Progress = Callable[[str, int, int], None]
"""Told the phase, the steps of it that are done, and how many it has (0: not known)."""


class Watch:
    """Watches a build. Not one exception leaves it, since its callers are not Python.

    Attributes:
        monitor: for the builder's configuration.
        stopped: whether the build was asked to stop.
        error: what `progress` raised, which stops the build too.
    """

    def __init__(self, library: Library, progress: Progress | None) -> None:
        self.stopped = False
        self.error: BaseException | None = None
        self._progress = progress
        self._steps: dict[str, int] = {}
        self._lock = threading.Lock()  # the library may call from several threads
        self.monitor = _monitor(library, self)

    def started(self, phase: str, steps: int) -> None:
        """A phase begins."""
        with self._lock:
            self._steps[phase] = steps
        self._tell(phase, 0)

    def stepped(self, phase: str, step: int) -> bool:
        """A step, from 0, is done. Returns whether to go on."""
        self._tell(phase, step + 1)
        return not self.stopped and self.error is None

    def finished(self, phase: str) -> None:
        """A phase is over, perhaps before all of its steps."""
        with self._lock:
            steps = self._steps.pop(phase, 0)
        self._tell(phase, steps, steps)

    def _tell(self, phase: str, step: int, steps: int | None = None) -> None:
        if self._progress is None or self.error is not None:
            return
        with self._lock:
            known = self._steps.get(phase, 0) if steps is None else steps
        try:
            self._progress(phase, min(step, known) if known else step, known)
        except BaseException as error:  # noqa: BLE001 - raised again after the build
            self.error = error

    @contextmanager
    def interruptible(self) -> Iterator[None]:
        """In this block Ctrl-C asks the build to stop, and is raised when it has.

        Python raises KeyboardInterrupt in whatever function runs, and that could be one that the
        library called, which cannot pass it on.
        """
        if threading.current_thread() is not threading.main_thread():
            yield
            return
        before = signal.getsignal(signal.SIGINT)
        if not callable(before):  # ignored, or not Python's
            yield
            return

        def remember(number: int, frame: FrameType | None) -> None:
            self.stopped = True

        signal.signal(signal.SIGINT, remember)
        try:
            yield
        finally:
            signal.signal(signal.SIGINT, before)
        if self.stopped:
            before(signal.SIGINT, None)  # raises, or remembers it as well
            raise KeyboardInterrupt


def _monitor(library: Library, watch: Watch) -> Any:
    base: Any = library.module.IProgressMonitor

    class Monitor(base):  # type: ignore[misc]
        def __init__(self) -> None:
            base.__init__(self)

        def phase_start(self, phase: str, parent: str | None, steps: int) -> None:
            watch.started(phase, steps)

        def step_complete(self, phase: str, step: int) -> bool:
            return watch.stepped(phase, step)

        def phase_finish(self, phase: str) -> None:
            watch.finished(phase)

    return Monitor()
