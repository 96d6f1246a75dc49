"""Chains and batches as they stand in payloads, and how they differ from what a test expects, link by link."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from qcore import links
from qcore import payload as payloads
from qcore.batch_link import BatchLink
from qcore.chains import PendingChain
from qcore.errors import PayloadError
from qcore.pending_batch import PendingBatch
from qtest.expecting import ExpectationError
from qtest.matching import Difference, Expectation, Text

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from qcore.app import App
    from qcore.jobs import Job
    from qtest.writing import Writer


class Group(NamedTuple):
    """Several jobs that stand together: the links of a chain, or the members of a batch."""

    kind: str
    """``chain`` or ``batch``."""
    items: tuple[Any, ...]
    """What a test means by each, or what stands there: jobs, and groups."""

    @property
    def part(self) -> str:
        """What one of them is called."""
        return "link" if self.kind == "chain" else "member"


Structure = Any
"""A job, a ``Group``, or None for what cannot be read."""


class Structures:
    """Reads chains and batches out of payloads."""

    def __init__(self, app: App, writer: Writer) -> None:
        """Take the app, which restores jobs, and what writes them into messages."""
        self._app = app
        self._writer = writer

    def links_of(self, body: Mapping[str, Any]) -> list[Structure]:
        """Give what follows a pushed job in its chain."""
        chain = body.get("chain")
        return [] if chain is None else [self._of_link(link) for link in links.split(chain["links"])]

    def of_job(self, job: Job | None) -> Structure:
        """Give a job as it is, and what dispatches a batch as that batch."""
        if not isinstance(job, BatchLink):
            return job
        members = [tuple(self._of_link(link) for link in links.split(member["links"])) for member in job.members]
        return Group("batch", tuple(each[0] if len(each) == 1 else Group("chain", each) for each in members))

    def _of_link(self, link: str) -> Structure:
        try:
            body = payloads.read(dict(links.fields_of(link)["body"]))
            return self.of_job(self._app.job_codec.restored(body))
        except (KeyError, PayloadError, ValueError):
            return None

    def differences(self, expected: Structure, got: Structure, path: str) -> list[Difference]:
        """Compare what a test expects at a place with what stands there."""
        if isinstance(expected, Group):
            if not isinstance(got, Group) or got.kind != expected.kind:
                return [Difference(path, self.text(expected), self.text(got))]
            return self.group_differences(expected, got, path)
        expectation = Expectation(expected)
        if isinstance(got, Group) or got is None or not expectation.is_kind(got):
            return [Difference(path, self.text(expected), self.text(got))]
        return [each._replace(field=f"{path} {each.field}") for each in expectation.job_differences(got)]

    def group_differences(self, expected: Group, got: Group, path: str = "") -> list[Difference]:
        """Compare two groups, one by one in their order."""
        found: list[Difference] = []
        nothing = Text("(nothing)")
        for index in range(max(len(expected.items), len(got.items))):
            place = f"{path} {expected.part} {index + 1}".strip()
            if index >= len(got.items):
                found.append(Difference(place, self.text(expected.items[index]), nothing))
            elif index >= len(expected.items):
                found.append(Difference(place, nothing, self.text(got.items[index])))
            else:
                found += self.differences(expected.items[index], got.items[index], place)
        return found

    def text(self, structure: Structure) -> Text:
        """Write one of them."""
        if isinstance(structure, Group):
            inside = ", ".join(self.text(each) for each in structure.items)
            return Text(f"[{inside}]" if structure.kind == "chain" else f"batch([{inside}])")
        return Text("(unreadable)" if structure is None else self._writer.wanted(structure))


def jobs_in(structure: Structure) -> list[Any]:
    """Give the jobs that stand in a structure, in their order; none of None."""
    if isinstance(structure, Group):
        return [job for each in structure.items for job in jobs_in(each)]
    return [] if structure is None else [structure]


def expected_chain(given: object) -> Group:
    """Understand the links that a test expects; a list, or a batch, among them is a batch.

    :raises ExpectationError: when it is no chain.
    """
    return Group("chain", tuple(_expected(each, inside="chain") for each in _listed(given, "chain")))


def expected_batch(given: object) -> Group:
    """Understand the members that a test expects; a list, or a chain, among them is a chain.

    :raises ExpectationError: when it is no batch.
    """
    return Group("batch", tuple(_expected(each, inside="batch") for each in _listed(given, "batch")))


def _listed(given: object, kind: str) -> Sequence[object]:
    if isinstance(given, PendingChain) and kind == "chain":
        return given.items
    if isinstance(given, PendingBatch) and kind == "batch":
        items = given.items
        if items is None:
            raise ExpectationError("the members of this batch come from an iterator: expect a list")
        return items
    if isinstance(given, list | tuple) and not hasattr(given, "_fields"):
        return given
    raise ExpectationError(f"expected a list of jobs for the {kind}, got {given!r:.80}")


def _expected(item: object, *, inside: str) -> Structure:
    if isinstance(item, PendingBatch) or (inside == "chain" and _is_list(item)):
        return expected_batch(item)
    if isinstance(item, PendingChain) or (inside == "batch" and _is_list(item)):
        return expected_chain(item)
    Expectation(item)  # complains about what names no job, also where nothing would be compared with it
    return item


def _is_list(item: object) -> bool:
    return isinstance(item, list | tuple) and not hasattr(item, "_fields")
