"""Functions as jobs without a class: lambdas and inner functions, pickled with what they captured, and signed."""

from __future__ import annotations

import inspect
import json
import sys
from collections.abc import Mapping
from pathlib import PurePath
from typing import TYPE_CHECKING, Any, Self, final

from qcore.callback_arguments import placed
from qcore.closure_pickle import Function, Functions, dumped, loaded
from qcore.errors import JobDefinitionError, PayloadError
from qcore.function_job import FunctionJob
from qcore.jobs import Job, Prepared
from qcore.options import JobOptions, checked_name, said
from qcore.sealing import Seal

if TYPE_CHECKING:
    from collections.abc import Iterator

    from qcore.sealing import Keys

Dispatchable = Job | Prepared | Function
"""What can be dispatched: a job, one with options, or a plain function."""

PURPOSE = "closure"
PYTHON = f"{sys.version_info.major}.{sys.version_info.minor}"
"""What pickled code can be read by: no other minor version, as bytecode changes with each."""


def as_job(given: object) -> Job | Prepared:
    """Make a job of what was dispatched, chained or batched: jobs stay as they are, a function becomes a closure.

    :raises JobDefinitionError: for anything else; says what to write instead.
    """
    if isinstance(given, Job | Prepared):
        return given
    if isinstance(given, FunctionJob):
        hint = f": write {given.job_class.__name__}.job(...)"
    elif isinstance(given, type) and issubclass(given, Job):
        hint = f": make an instance: {given.__name__}(...)"
    elif inspect.isfunction(given):
        return Closure(given)
    else:
        hint = ": write a lambda that calls it" if callable(given) else ""
    message = f"a job is an instance of a class derived from Job, got {_shown(given)}{hint}"
    raise JobDefinitionError(message)


def closure(function: Function, *, name: str | None = None, **options: Any) -> PreparedClosure:
    """Make a job of a function, with the options that a job class takes as keywords.

    ::

        closure(lambda: sync(user_id), name="sync", queue="crm", tries=3).catch(report).dispatch(delay=60)

    :raises JobDefinitionError: for an unknown option, or a function that cannot be a job.
    """
    return PreparedClosure(Closure(function, name=name), said(options))


@final
class Closure(Job, name="qcore:closure"):
    """A job that is a function. It is pickled when the job is dispatched, and unpickled when it runs.

    The function is called without arguments, or with this job if it asks for one: ``lambda job: job.release(60)``.
    It may be async. A parameter with a default keeps it.
    """

    _functions: Functions | None
    """None until what was restored is unpickled."""
    _pickled: bytes
    """What was restored; empty for a job that was made here."""
    _unreadable = False
    """True when it could not be unpickled: nobody knows its callbacks then."""
    _passed: Mapping[str, object] | None = None
    """What the function is called with in place of this job."""

    def __init__(
        self,
        function: Function,
        *,
        name: str | None = None,
        most: int = 1,
        rule: str = "only the job itself is passed to it: write lambda: f(...)",
    ) -> None:
        """Take the function; ``name`` is shown before the place where it is written.

        It may ask for ``most`` arguments; ``rule`` explains that.

        :raises JobDefinitionError: for a function that cannot be a job.
        """
        self.name = None if name is None else checked_name(name, "closure")
        checked = _checked(function, most, rule)
        self.place = _place_of(checked)
        self._functions, self._pickled = Functions(checked), b""

    def catch(self, callback: Function) -> Self:
        """Call ``callback(error)`` when the job fails for good; one that asks for two arguments gets the job, too.

        It is called as ``failed()`` of a job class is, and pickled with the function.

        :raises JobDefinitionError: for a callback that asks for more, or is no function.
        """
        checked = _checked(callback, 2, "a callback gets the error, and the job if it asks for two")
        function, callbacks = self._loaded()
        self._functions, self._pickled = Functions(function, (*callbacks, checked)), b""
        return self

    def passing(self, given: Mapping[str, object]) -> Self:
        """Call the function with as much of this as it asks for, and not with this job."""
        self._passed = given
        return self

    def handle(self) -> object:
        """Call the function."""
        function = self._loaded().function
        if self._passed is None:
            return _called(function, self)
        return function(*placed([each.name for each in _required(function)], self._passed).values())

    def failed(self, error: BaseException) -> Any:  # noqa: ANN401 - it is awaited if it can be
        """Call the callbacks, one after the other."""
        remaining = iter(() if self._unreadable else self._loaded().callbacks)
        for callback in remaining:
            result = _called(callback, error, self)
            if inspect.isawaitable(result):
                return _awaited(result, remaining, error, self)
        return None

    def display_name(self) -> str:
        """Say where the function is written, after its name if it was given one."""
        return f"Closure ({self.place})" if self.name is None else f"{self.name} - Closure ({self.place})"

    def signed(self, keys: Keys) -> str:
        """Write the function, what it captured, and the version of Python that can read it.

        :raises ConfigError: when there is no key, or the extra ``closures`` is not installed.
        :raises PayloadError: names what cannot be pickled.
        """
        what = self.display_name()
        if not keys:
            raise keys.missing(what, "signed")  # before anything is pickled in vain
        head = json.dumps({"python": PYTHON, "name": self.name, "place": self.place}).encode()
        pickled = self._pickled or dumped(self._loaded(), what)
        return keys.sign(head + b"\n" + pickled, purpose=PURPOSE, what=what)

    @classmethod
    def opened(cls, text: str, keys: Keys, display_name: str) -> Closure:
        """Verify what was signed and make the job of it. Nothing is unpickled before it runs.

        :raises PayloadError: when it was not signed by one of the keys, or by another version of Python.
        """
        head, _, pickled = keys.opened(text, purpose=PURPOSE, what=display_name).partition(b"\n")
        fields = json.loads(head)
        if fields["python"] != PYTHON:
            message = (
                f"{display_name} was dispatched by Python {fields['python']}, and this is {PYTHON}: closures cannot "
                "cross versions, so let dispatchers and workers run on the same one, or write a job class"
            )
            raise PayloadError(message)
        job = cls.__new__(cls)
        vars(job).update(name=fields["name"], place=fields["place"], _functions=None, _pickled=pickled)
        return job

    def load(self) -> None:
        """Unpickle the function now, if that was not done yet.

        :raises PayloadError: when it cannot be.
        """
        self._loaded()

    def _loaded(self) -> Functions:
        if self._functions is None:
            self._unreadable = True
            self._functions = loaded(self._pickled, self.display_name())
            self._unreadable = False
        return self._functions

    # The same pickle, or the very same functions: equal code may have captured what cannot be compared.

    def __eq__(self, other: object) -> bool:
        """Compare name and functions."""
        if not isinstance(other, Closure):
            return NotImplemented
        mine, others = (self._pickled or self._functions), (other._pickled or other._functions)
        return self.display_name() == other.display_name() and mine == others

    def __hash__(self) -> int:
        """Agree with ``==``."""
        return hash(self.display_name())

    def __repr__(self) -> str:
        """Show where it is written, and nothing of what it captured."""
        return f"<{self.display_name()}>"


Closure.__job__ = Closure.__job__._replace(seal=Seal.SIGNED)


class PreparedClosure(Prepared):
    """A closure together with options said for this one push."""

    __slots__ = ("_closure",)

    def __init__(self, job: Closure, options: JobOptions) -> None:
        """Keep both."""
        super().__init__(job, options)
        self._closure = job

    def catch(self, callback: Function) -> Self:
        """Call ``callback(error)`` when the job fails for good.

        :raises JobDefinitionError: for a callback that asks for more than the error and the job, or is no function.
        """
        self._closure.catch(callback)
        return self


def _checked(function: object, most: int, rule: str) -> Function:
    """Refuse what cannot be called later with that many arguments at most."""
    if not inspect.isfunction(function):
        message = f"a closure is a plain or async function, got {_shown(function)}: write a lambda that calls it"
        raise JobDefinitionError(message)
    if inspect.isgeneratorfunction(function) or inspect.isasyncgenfunction(function):
        message = f"{function.__qualname__}() is a generator: nothing of it would run; use return instead of yield"
        raise JobDefinitionError(message)
    parameters = _required(function)
    if len(parameters) > most or any(each.kind is each.KEYWORD_ONLY for each in parameters):
        asked = ", ".join(each.name for each in parameters)
        message = f"{function.__qualname__}() asks for {asked}; {rule}"
        raise JobDefinitionError(message)
    return function


def _required(function: Function) -> list[inspect.Parameter]:
    optional = (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD)
    parameters = inspect.signature(function).parameters.values()
    return [each for each in parameters if each.default is each.empty and each.kind not in optional]


def _called(function: Function, *arguments: object) -> Any:  # noqa: ANN401 - what the user returns
    """Call a function with as many of the arguments as it asks for."""
    return function(*arguments[: len(_required(function))])


async def _awaited(first: Any, remaining: Iterator[Function], *arguments: object) -> None:  # noqa: ANN401
    await first
    for callback in remaining:
        result = _called(callback, *arguments)
        if inspect.isawaitable(result):
            await result


def _place_of(function: Function) -> str:
    code = inspect.unwrap(function).__code__
    return f"{PurePath(code.co_filename).name}:{code.co_firstlineno}"


def _shown(given: object) -> str:
    return f"{given!r}"[:200]
