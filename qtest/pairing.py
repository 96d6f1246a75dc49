"""Which push stands for which expected job, where several fit, and where they are in a row."""

from __future__ import annotations

from bisect import bisect_left
from collections import deque
from typing import TYPE_CHECKING

from qtest.expecting import fields_of
from qtest.matching import written
from qtest.report import fate_difference

if TYPE_CHECKING:
    from collections.abc import Sequence

    from qcore.jobs import Job
    from qtest.matching import Expectation
    from qtest.pushes import Pushed


class Pairing:
    """Gives each expected job a push of its own."""

    def __init__(self, expected: Sequence[Expectation], pushes: Sequence[Pushed]) -> None:
        """Take both."""
        self._expected = expected
        self._pushes = pushes
        self._fitting: dict[int, list[int]] = {}
        self._alike: dict[object, list[Pushed]] = {}
        for each in reversed(pushes):
            self._alike.setdefault(_looks(each.job), []).append(each)
        self.taken: dict[int, int] = {}
        """The number of each push that stands for an expected job, and the place of this one."""
        self._holds: dict[int, int] = {}

    def place(self, at: int) -> bool:
        """Find a push for the expected job at that place; False when there is none.

        If need be it takes one from another, which gets one that fits it as well.
        """
        if self._place_alike(at):
            return True
        came_from: dict[int, int] = {}
        asking = deque([at])
        while asking:
            one = asking.popleft()
            for number in self.fitting(one):
                if number in came_from:
                    continue
                came_from[number] = one
                if number not in self.taken:
                    self._hand_on(number, came_from, at)
                    return True
                asking.append(self.taken[number])
        return False

    def fitting(self, at: int) -> Sequence[int]:
        """Give the numbers of all pushes that fit the expected job at that place."""
        expected = self._expected[at]
        key = id(expected.wanted)
        found = self._fitting.get(key)
        if found is None:
            found = self._fitting[key] = [each.number for each in self._pushes if _fits(expected, each)]
        return found

    def _place_alike(self, at: int) -> bool:
        """Take the first push that holds the very same job: to look through all of them takes long."""
        expected = self._expected[at]
        if not expected.named.is_instance:
            return False
        alike = self._alike.get((expected.named.job_class, written(expected.named.fields)), [])
        while alike and alike[-1].number in self.taken:
            alike.pop()
        if not (alike and _fits(expected, alike[-1])):
            return False
        self.taken[alike[-1].number], self._holds[at] = at, alike[-1].number
        return True

    def _hand_on(self, number: int, came_from: dict[int, int], last: int) -> None:
        """Let each one that was asked on the way take the push of the one behind it."""
        while True:
            one = came_from[number]
            before = self._holds.get(one)
            self.taken[number], self._holds[one] = one, number
            if one == last or before is None:
                return
            number = before


def first_row(places: Sequence[Sequence[int]]) -> list[int]:
    """Find places one behind the other, one out of each list; fewer when there is none for the next."""
    found: list[int] = []
    for each in places:
        at = bisect_left(each, found[-1] + 1 if found else 0)
        if at == len(each):
            break
        found.append(each[at])
    return found


def longest_row(places: Sequence[Sequence[int]]) -> list[int]:
    """Find places without a gap, one out of each list; where there are none, the first ones that go on longest."""
    known, best = [set(each) for each in places], list[int]()
    for start in places[0]:
        row = [start]
        while len(row) < len(known) and start + len(row) in known[len(row)]:
            row.append(start + len(row))
        best = row if len(row) > len(best) else best
    return best


def _fits(expected: Expectation, pushed: Pushed) -> bool:
    return expected.is_kind(pushed.job) and not expected.differences(pushed, fate_difference(pushed))


def _looks(job: Job | None) -> object:
    return None if job is None else (type(job), written(fields_of(job)))
