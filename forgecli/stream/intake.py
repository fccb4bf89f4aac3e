"""Tasks in, pictures in slots out: the reader processes and what they are at."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator
from time import perf_counter

from forgecli.cores import available_cores
from forgecli.detection import Detection
from forgecli.predict.crew import Crew, Death, Member
from forgecli.predict.tasks import Outcome, Task, Work, lost
from forgecli.stream.batches import Frame, Waiting
from forgecli.stream.jobs import Arrived, Draw, Job, Place, Read
from forgecli.stream.reader import Reader, serve
from forgecli.stream.slots import Slot, Slots


class Intake:
    """Keeps reader processes at work. They decode, and draw what was found.

    A process that dies costs the image it was at. No process waits for a slot while it holds one,
    so that slots come free as long as the pictures in the others go on.

    Args:
        work: what is done with a picture but its detection.
        size: processes, 1 or more.
        slots: where pictures go.
        seen: the view and the frame of a picture of a shape (H, W).
        note: told what a user may want to know.
        stop: whether the program is to end.
        now: a clock in seconds.
    """

    def __init__(
        self,
        work: Work,
        size: int,
        slots: Slots,
        *,
        seen: Callable[[tuple[int, int]], tuple[tuple[int, int], Frame]],
        note: Callable[[str], None],
        stop: Callable[[], bool],
        now: Callable[[], float] = perf_counter,
    ) -> None:
        threads = max(1, available_cores() // size)
        self._crew: Crew[Job] = Crew(
            size, serve, (work, threads), threads=threads, note=note, stop=stop
        )
        self._work = work
        self._size = size
        self._slots = slots
        self._seen = seen
        self._now = now
        self._tasks: Iterator[Task] = iter(())
        self._upcoming: Task | None = None
        self._short = False
        self._began: dict[int, float] = {}  # by row
        self._held: dict[Member[Job], Slot] = {}
        self._needy: deque[tuple[Member[Job], Task, int]] = deque()
        self._drawings: deque[tuple[Draw, Slot | None]] = deque()

    def begin(self, tasks: Iterator[Task], size: int) -> None:
        """Start on tasks. They are taken when a process is free for them.

        Args:
            size: processes of use, at most.
        """
        self._tasks = tasks
        self._size = size
        self._upcoming = next(tasks, None)
        if self._upcoming is not None:
            self._crew.grow(size)

    @property
    def working(self) -> bool:
        """Whether anything is still to come."""
        return self._upcoming is not None or bool(self._drawings) or self._crew.busy

    @property
    def reading(self) -> bool:
        """Whether pictures are still to come."""
        return self._upcoming is not None or any(
            isinstance(member.job, Read | Place) for member in self._crew.members
        )

    @property
    def starved(self) -> bool:
        """Whether reading waits for slots."""
        return bool(self._needy) or self._short

    def feed(self) -> Iterator[tuple[Task, Outcome]]:
        """Give jobs to all who are free. Drawing comes first, for it frees slots.

        Yields:
            tasks for which there is no memory.
        """
        if self._upcoming is not None or self._drawings:
            self._crew.grow(self._size)
        free = deque(member for member in self._crew.members if member.free)
        while self._drawings and free:
            draw, slot = self._drawings.popleft()
            member = free.popleft()
            if slot is not None:
                self._held[member] = slot
            member.give(draw)
        self._short = False
        # Readers that wait for a larger slot cannot draw, and drawings hold what they wait for.
        while self._drawings and len(self._needy) == len(self._crew.members) > 0:
            draw, slot = self._drawings.popleft()
            self._began.pop(draw.task.row, None)
            yield draw.task, Reader(self._work).answer(draw)[1]
            if slot is not None:
                self._slots.give(slot)
        while self._needy:
            member, task, size = self._needy[0]
            slot, there = self._taken(size)
            if there and slot is None:
                return  # one at a time, or a large picture would never have its turn
            self._needy.popleft()
            if slot is not None:
                self._held[member] = slot
            member.give(Place(task, slot.name if slot else "", slot.size if slot else 0))
        while self._upcoming is not None and free:
            slot, there = self._taken(0)
            if slot is None:
                if not there:
                    task, self._upcoming = self._upcoming, next(self._tasks, None)
                    yield task, lost(task, "out of memory while reading", out_of_memory=True)
                    continue
                self._short = True
                return
            member, task = free.popleft(), self._upcoming
            self._held[member] = slot
            self._began[task.row] = self._now()
            member.give(Read(task, slot.name, slot.size))
            self._upcoming = next(self._tasks, None)

    def heard(self, timeout: float) -> Iterator[Waiting | tuple[Task, Outcome]]:
        """What readers have done: pictures that are in their slots, and tasks that are over.

        Args:
            timeout: seconds to wait if there is nothing yet.

        Raises:
            ForgeError: no process can start.
        """
        for member, said in self._crew.heard(timeout):
            if isinstance(said, Death):
                self._needy = deque(needs for needs in self._needy if needs[0] is not member)
                self._give_back(member)
                if said.job is not None and not said.stopped:
                    task = said.job.task
                    self._began.pop(task.row, None)
                    yield task, lost(task, said.cause, out_of_memory=said.killed)
                continue
            job = member.job
            if job is None:
                continue
            kind, content = said
            if kind == "needs":  # it stays at its job, and gives up the slot meanwhile
                self._give_back(member)
                self._needy.append((member, job.task, content))
                continue
            member.job = None
            if kind == "arrived":
                yield self._waiting(member, job.task, content)
            else:
                self._give_back(member)
                self._began.pop(job.task.row, None)
                yield job.task, content

    def draw(self, task: Task, detection: Detection, slot: Slot | None, spent: float) -> None:
        """Have the outcome of a task made, its mask and overlay included.

        Args:
            slot: that of its picture, which is given back afterwards, or None.
            spent: seconds since the work on the task began.
        """
        draw = Draw(task, detection, slot.name if slot else "", spent)
        self._drawings.append((draw, slot))

    def give(self, slot: Slot) -> None:
        """Nobody needs the picture in this slot any more."""
        self._slots.give(slot)

    def end(self) -> None:
        """End all processes."""
        self._crew.end()
        for slot in self._held.values():
            self._slots.give(slot)
        self._held.clear()
        self._needy.clear()
        self._began.clear()

    def _taken(self, size: int) -> tuple[Slot | None, bool]:
        """A slot, and whether there may be one later if it is None."""
        try:
            return self._slots.take(size), True
        except MemoryError:
            return None, False

    def _give_back(self, member: Member[Job]) -> None:
        slot = self._held.pop(member, None)
        if slot is not None:
            self._slots.give(slot)

    def _waiting(self, member: Member[Job], task: Task, arrived: Arrived) -> Waiting:
        view, frame = self._seen(arrived.shape)
        now = self._now()
        return Waiting(
            task,
            self._held.pop(member),
            arrived.shape,
            view,
            frame,
            arrived.warnings,
            began=self._began.pop(task.row, now),
            arrived=now,
            seconds={"read": arrived.seconds},
        )
