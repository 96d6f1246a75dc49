"""Steps the real worker through what a fake holds, in the order in which it is due."""

from __future__ import annotations

from typing import TYPE_CHECKING

from qcore.limits import WorkerOptions
from qcore.runner import RunDefaults
from qtest.performing import performed
from qtest.virtual_limit import VirtualLimit
from qtest.virtual_sleep import VirtualSleep

if TYPE_CHECKING:
    from collections.abc import Iterator

    from qcore.driver import Driver, QueueCounts
    from qcore.jobs import Job, Prepared
    from qcore.outcome import Outcome
    from qcore.runner import Runner
    from qcore.worker import Worker
    from qtest.calling_thread import Aside
    from qtest.clock import FrozenClock
    from qtest.fake_app import FakeApp
    from qtest.recorder import Recorder

Place = tuple[str, str]
"""A connection and a queue."""


class Stepper:
    """Runs one job after the other, whatever their connections and queues."""

    def __init__(self, app: FakeApp, clock: FrozenClock, recorder: Recorder) -> None:
        """Make no worker yet: each queue gets one when it has work."""
        self._app = app
        self._clock = clock
        self._recorder = recorder
        self._workers: dict[Place, Worker] = {}
        self.limit = VirtualLimit(clock)
        self._aside: Aside | None = None
        self._sleep = VirtualSleep()

    def run_next_job(self, queue: str | None = None) -> Outcome | None:
        """Run the job that is due first, of one queue if given; None when nothing is due, or may be looked for."""
        places = self._recorder.places
        if len(places) == 1 and queue is None and (only := self._workers.get(next(iter(places)))) is not None:
            return only.run_next_job()  # with one queue there is nothing to choose from
        due, place = self.first(queue)
        if place is None or due > self._clock.now():
            return None
        self.begin()
        return self.worker(place).run_next_job()

    def begin(self) -> None:
        """Let the sleeps of jobs take virtual time from now on; asked for before jobs are run."""
        self._sleep.install()

    def first(self, queue: str | None = None) -> tuple[float, Place | None]:
        """Tell when the next job is due, and where; of those due at one instant the one that was pushed first."""
        best, places = float("inf"), list[Place]()
        for place in list(self._recorder.places):  # a copy: other threads push meanwhile
            if queue is not None and place[1] != queue:
                continue
            driver = self._recorder.inspectable(place[0])
            due = None if driver is None else driver.next_due((place[1],))
            if due is None or due > best:
                continue
            if due < best:
                best, places = due, []
            places.append(place)
        if len(places) > 1:
            return best, min(places, key=self._turn)
        return best, places[0] if places else None

    def _turn(self, place: Place) -> int:
        """Tell when the job was pushed that a queue would give next, as a number."""
        driver = self._recorder.inspectable(place[0])
        listed = [] if driver is None else driver.listed(place[1], limit=1)
        pushed = self._recorder.find(listed[0].payload.id) if listed else None
        return 0 if pushed is None else pushed.turn

    def worker(self, place: Place) -> Worker:
        """Give the worker of a queue; it has the options of the project."""
        found = self._workers.get(place)
        if found is None:
            connection, queue = place
            options = self.options(connection)._replace(queues=(queue,), rest=0, memory=0, max_jobs=0, max_time=0)
            found = self._workers[place] = self._app.worker(connection, options, time_limit=self.limit)
            if self._aside is not None:
                self._aside.equip(found.runner, self.limit)
        return found

    def beside(self) -> Aside:
        """Let all workers run their jobs where an async test is, when they are run beside its loop."""
        if self._aside is None:
            from qtest.calling_thread import Aside  # asyncio is loaded where a test is async

            self._aside = Aside(self._clock)
            for worker in self._workers.values():
                worker.runner.close()
                self._aside.equip(worker.runner, self.limit)
        return self._aside

    def run_in_place(self, job: Job | Prepared, attempts: int) -> Outcome:
        """Run a job that is on no queue."""
        self.begin()
        return performed(self._app, self, job, attempts)

    def options(self, connection: str) -> WorkerOptions:
        """Give the options that the project's configuration says for a worker of a connection."""
        if not self._app.config.worker:
            return WorkerOptions()
        from qcore.commands.work_options import worker_options  # click is loaded only where there is something to read

        return worker_options(self._app.config, self._app.connection(connection), {})

    def runner(self, name: str, driver: Driver) -> Runner:
        """Make a runner for a driver of the test's own; nothing is kept of jobs that fail."""
        options = self.options(name)
        defaults = RunDefaults(options.tries, options.backoff, options.timeout)
        runner = self._app.runner_for(name, driver, defaults, self.limit)
        if self._aside is not None:
            self._aside.equip(runner, self.limit)
        return runner

    def left(self) -> int:
        """Count what still waits."""
        return sum(each.ready + each.delayed + each.reserved for each in self._counts())

    def _counts(self) -> Iterator[QueueCounts]:
        for connection in dict.fromkeys(connection for connection, _ in [*self._recorder.places]):
            driver = self._recorder.inspectable(connection)
            if driver is not None:
                yield from driver.counts()

    def close(self) -> None:
        """Close the event loops of async jobs."""
        for worker in self._workers.values():
            worker.runner.close()
        self._workers.clear()
        self._sleep.undo()
