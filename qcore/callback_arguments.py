"""Which parameter of a callback gets what: by its name where that says it, else by its place."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

_NAMES = {
    "batch": "batch",
    "error": "error",
    "exception": "error",
    "job": "job",
    "failed": "job",
    "failed_job": "job",
}
"""Names of parameters, and what they ask for."""


def placed(parameters: Sequence[str], given: Mapping[str, object]) -> dict[str, object]:
    """Give the parameters what there is: ``batch``, ``error`` and ``job``, in this order.

    One that bears such a name gets just that, whatever its place. So a function can serve chains and batches.
    """
    named = {name: _NAMES[name] for name in parameters if _NAMES.get(name) in given}
    left = [what for what in given if what not in named.values()]
    others = [name for name in parameters if name not in named]
    wanted = named | dict(zip(others, left, strict=False))
    return {name: given[wanted[name]] for name in parameters if name in wanted}
