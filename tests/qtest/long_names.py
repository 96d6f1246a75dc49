"""Jobs whose names leave no room on a line."""

from __future__ import annotations

from qcore import Job

QUEUE = "a-queue-with-a-name-that-goes-on-and-on-until-nothing-else-fits-beside-it"


class SendsTheMonthlyReportAboutEverythingToEverybodyWhoHasEverAskedForSomething(Job, queue=QUEUE, tries=3):
    def __init__(self, the_name_of_the_customer_as_it_is_written_in_the_first_contract: object = 1) -> None:
        self.the_name_of_the_customer_as_it_is_written_in_the_first_contract = (
            the_name_of_the_customer_as_it_is_written_in_the_first_contract
        )

    def handle(self) -> None:
        message = "cannot write the report, for a reason that takes more than one line " * 3
        raise ExceptionWithANameThatIsAlmostAsLongAsTheNameOfTheJobThatRaisesItNowAndThen(message)


class ExceptionWithANameThatIsAlmostAsLongAsTheNameOfTheJobThatRaisesItNowAndThen(Exception):  # noqa: N818
    pass


Long = SendsTheMonthlyReportAboutEverythingToEverybodyWhoHasEverAskedForSomething
