"""The job that a worker takes in the step in which it deletes the one before: one round trip for both."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from qcore.driver import Pipelined
from qcore.errors import DriverError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from qcore.driver import Driver, Reservation, Settled

logger = logging.getLogger("qcore")


def nothing() -> tuple[str, ...]:
    """Want no job ahead."""
    return ()


class Ahead:
    """What is in the worker's hands beside the job that it runs: one reservation at most, and only between two jobs."""

    def __init__(self, driver: Driver) -> None:
        """Take the driver; when it cannot do both in one step, they stay two."""
        self.wanted: Callable[[], Sequence[str]] = nothing
        """Gives the queues to reserve from now; none when the worker may have something else to do next."""
        self.reservation: Reservation | None = None
        self._driver = driver
        self._pipelined = driver if isinstance(driver, Pipelined) else None

    def delete(self, reservation: Reservation) -> Settled:
        """Delete a job that has succeeded, and take the next one if it is wanted."""
        if self._pipelined is None or not (queues := self.wanted()):
            return self._driver.delete(reservation)
        settled, self.reservation = self._pipelined.delete_and_reserve(reservation, queues)
        return settled

    def take(self) -> Reservation | None:
        """Hand the reservation over, to be run."""
        reservation, self.reservation = self.reservation, None
        return reservation

    def give_back(self) -> None:
        """Release what will not be run after all, without an attempt counted."""
        reservation = self.take()
        if reservation is None:
            return
        try:
            self._driver.release(reservation, count=False)
        except DriverError as error:
            logger.warning(
                "%s; the job %s was reserved and not run: it comes back after its lease", error, reservation.payload.id
            )
