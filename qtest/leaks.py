"""What a test left behind: jobs that failed and were never looked at, and jobs that still wait."""

from __future__ import annotations

from typing import TYPE_CHECKING

from qtest.pushes import Fate

if TYPE_CHECKING:
    from qtest.queue_fake import QueueFake


def unseen_failures(queue: QueueFake) -> str:
    """Complain about jobs that failed and that the test never looked at; empty when there are none."""
    unseen = [each for each in queue.recorder.dispatches if each.went_wrong and not each.is_seen]
    if not unseen:
        return _failed_elsewhere(queue)
    head = "a job failed" if len(unseen) == 1 else f"{len(unseen)} jobs failed"
    names = [queue.reporter.writer.wanted(type(each.job)) if each.job is not None else each.name for each in unseen]
    lines = [f"{head}, and the test never looked at it", *queue.reporter.table(unseen, "left unlooked at")]
    lines += queue.reporter.last_events()
    lines.append(f"  say queue.assert_failed({names[0]}), queue.failed(), raises=False, or let a run raise it")
    return queue.reporter.writer.folded(lines)


def _failed_elsewhere(queue: QueueFake) -> str:
    """Complain about jobs that failed in another process whose exit code the test never looked at."""
    taken = [each for each in queue.recorder.dispatches if each.is_elsewhere and not each.is_seen]
    failed = {each.id for each in queue.app.failed.list()} if taken else set[str]()
    unseen = [each for each in taken if each.id in failed]
    if not unseen:
        return ""
    head = "a job failed in another process, and the test never looked at its exit code"
    table = queue.reporter.table(unseen, "left unlooked at")
    return queue.reporter.writer.folded([head, *table, "  say what queue_cli(...).exit_code is to be"])


def all_unseen(queue: QueueFake) -> str:
    """Complain about all of them, also those from before a ``reset``; empty when there are none."""
    return "\n".join(filter(None, [*queue.unseen_before, unseen_failures(queue)]))


def unused(queue: QueueFake) -> str:
    """Complain about contexts never entered and runs never awaited, which have done nothing; empty without any."""
    names = dict.fromkeys(each.name for each in queue.recorder.blocks if not each.is_entered)
    lines = [f"{name}() looks at what happens in its block: write `with queue.{name}(...):`" for name in names]
    lines += [
        f"{name}() was never awaited, so it ran nothing: write `await queue.{name}(...)`" for name in queue.unawaited()
    ]
    return "\n".join(lines)


def leftovers(queue: QueueFake) -> str:
    """Complain about jobs that were pushed and never run to their end; empty when there are none."""
    left = [each for each in queue.recorder.dispatches if each.fate is Fate.HELD or _waits(queue, each.id)]
    if not left:
        return ""
    verb = "waits" if len(left) == 1 else "wait"
    jobs = "1 job" if len(left) == 1 else f"{len(left)} jobs"
    return queue.reporter.writer.folded(
        [f"{jobs} still {verb} at the end of the test", *queue.reporter.table(left, "left")]
    )


def _waits(queue: QueueFake, job_id: str) -> bool:
    from qcore.driver import Findable

    pushed = queue.recorder.find(job_id)
    if pushed is None or pushed.way:
        return False
    driver = queue.app.connection(pushed.connection).driver
    return isinstance(driver, Findable) and driver.find(job_id) is not None
