"""What a test can assert of chains: the first job, and the links that its payload carries."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from qcore.batch_link import BatchLink
from qtest.expecting import ExpectationError
from qtest.looking import Looking
from qtest.matching import Difference, Expectation, Terms, Text
from qtest.report import fate_difference
from qtest.structure import Group, Structures, expected_chain, jobs_in
from qtest.times import as_times

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from qtest.expecting import Wanted
    from qtest.pushes import Pushed
    from qtest.structure import Structure
    from qtest.times import Times


class ChainAssertions(Looking):
    """Assertions about chains; classes, instances, functions, names, ``like(...)`` and batches mix freely."""

    def assert_chained(self, jobs: object, *, times: int | Times | None = None, **terms: Any) -> list[Pushed]:
        """Assert that just this chain was dispatched: all links, in this order. ``terms`` are of its first job."""
        __tracebackhide__ = True
        expected = expected_chain(jobs)
        if not expected.items:
            raise ExpectationError("a chain has links: assert_not_chained(job) says that a job is in no chain")
        head, *rest = expected.items
        return self._look_at_chains(head, Group("chain", tuple(rest)), times, terms, whole=expected)

    def assert_pushed_with_chain(
        self, job: Wanted, links: Sequence[object], *, times: int | Times | None = None, **terms: Any
    ) -> list[Pushed]:
        """Assert that a job was pushed, and that just these links follow it."""
        __tracebackhide__ = True
        expected = expected_chain(links)
        if not expected.items:
            raise ExpectationError("the chain is empty: say assert_pushed_without_chain(job)")
        return self._look_at_chains(job, expected, times, terms)

    def assert_pushed_without_chain(
        self, job: Wanted, *, times: int | Times | None = None, **terms: Any
    ) -> list[Pushed]:
        """Assert that a job was pushed, and that nothing follows it."""
        __tracebackhide__ = True
        return self._look_at_chains(job, Group("chain", ()), times, terms)

    def assert_not_chained(self, job: Wanted, *, exact: bool = False) -> None:
        """Assert that a job is in no chain, neither as the first one nor as a link; ``Job``: that there is no chain."""
        __tracebackhide__ = True
        expected = Expectation(job, Terms.given(exact=exact))
        self.refuse_what_cannot_match(expected, in_chain=True)
        structures = self._structures
        for each in self.recorder.pushes:
            following = structures.links_of(each.body)
            whole = Group("chain", (structures.of_job(each.job), *following))
            if following and any(map(expected.fits, jobs_in(whole))):
                lines = self.reporter.headline("expected in no chain", expected)
                lines.append(self.reporter.writer.cut(f"  but #{each.number} is {structures.text(whole)}", 80))
                self.fail([*lines, *self.reporter.table()])

    @property
    def _structures(self) -> Structures:
        return Structures(self.app, self.reporter.writer)

    def _look_at_chains(
        self,
        head: Structure,
        rest: Group,
        times: int | Times | None,
        terms: dict[str, object],
        *,
        whole: Group | None = None,
    ) -> list[Pushed]:
        __tracebackhide__ = True
        structures = self._structures
        for each in jobs_in(rest):
            self.refuse_what_cannot_match(Expectation(each), in_chain=True)
        expected = Expectation(BatchLink if isinstance(head, Group) else head, Terms.given(**terms))
        # Seen as a whole the first job is link 1; beside its job the chain begins with the one that follows it.
        nothing: tuple[object, ...] = () if whole is None else (None,)
        want = Group("chain", (*nothing, *rest.items))

        def beyond(pushed: Pushed) -> list[Difference]:
            found = [*fate_difference(pushed), *_by_itself(pushed)]
            if isinstance(head, Group):
                found += structures.differences(head, structures.of_job(pushed.job), "link 1")
            got = Group("chain", tuple(structures.links_of(pushed.body)))
            return found + _links(structures, want, got, first=len(nothing))

        said = "no job matched" if whole is None else "no chain matched"
        try:
            return self.look(expected, as_times(times), beyond, said=said, in_chain=True)
        except AssertionError as error:
            chain = structures.text(whole or rest) if (whole or rest).items else _NO_CHAIN
            said = _with_chain(str(error), chain, is_whole=whole is not None, cut=self.reporter.writer.cut)
            lines = [said] if "  nearest: " in said else [said, *self._chains_there_are()]
            raise AssertionError("\n".join(lines)) from None

    def _chains_there_are(self) -> list[str]:
        """List the chains that were dispatched: where none begins like the expected one, each is as near."""
        structures, cut = self._structures, self.reporter.writer.cut
        lines = []
        for each in self.recorder.pushes:
            if (links := structures.links_of(each.body)) and not each.is_by_itself:
                whole = Group("chain", (structures.of_job(each.job), *links))
                lines.append(cut(f"      #{each.number} {structures.text(whole)}", _WIDTH))
        if not lines:
            return []
        return ["  1 chain was dispatched" if len(lines) == 1 else f"  {len(lines)} chains were dispatched", *lines]


_WIDTH = 80
_NO_CHAIN = "without a chain"


def _by_itself(pushed: Pushed) -> list[Difference]:
    """Tell that a job is the rest of a chain that is under way: that chain was dispatched with what came before."""
    return [Difference("state", Text("dispatched"), Text("pushed by the queue itself"))] if pushed.is_by_itself else []


def _links(structures: Structures, want: Group, got: Group, *, first: int) -> list[Difference]:
    expected = Group("chain", want.items[first:])
    found = structures.group_differences(expected, got)
    return [each._replace(field=_shifted(each.field, first)) for each in found]


def _shifted(field: str, by: int) -> str:
    """Number the links of a whole chain from its first job on."""
    word, number, *rest = field.split(" ", 2)
    return " ".join([word, str(int(number) + by), *rest])


def _with_chain(message: str, chain: str, *, is_whole: bool, cut: Callable[[str, int], str]) -> str:
    """Write the chain that was expected into the headline if it fits, else below."""
    head, newline, rest = message.partition("\n")
    said, _, terms = head.partition("  ")
    if is_whole:
        terms = terms.partition("  ")[2]  # without the first job, which the chain begins with
    with_chain = chain if is_whole or chain == _NO_CHAIN else f"with the chain {chain}"
    line = f"{said}  {chain}  {terms}".rstrip() if is_whole else f"{head}  {with_chain}"
    if len(line) > _WIDTH:
        below = [
            cut(f"  {with_chain}", _WIDTH),
            *([f"  {terms}"] * bool(terms)),
        ]
        line = "\n".join([said, *below] if is_whole else [head, below[0]])
    return f"{line}{newline}{rest}"
