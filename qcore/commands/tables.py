"""Aligned tables that fit a terminal, and are complete everywhere else."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from qcore.commands.terminal import coloured, escaped

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping, Sequence

GAP = "  "
SHORT_ID = 8
"""The commands take the beginning of an id, so much of it at least is shown."""
_READABLE = 24
"""Characters that a text keeps as long as ids can give way."""
_LEAST = 4


class Layout(NamedTuple):
    """What may be done with the columns of a table; all are named by their headings."""

    right: Collection[str] = ()
    """Aligned at their right side."""
    free: Collection[str] = ()
    """Texts that may be cut when there is too little room."""
    ids: str = ""
    """Ids, of which the beginning may do."""
    colours: Mapping[str, str] = {}
    """Colours of whole cells of the last column, by what stands in them."""


PLAIN = Layout()


def table(
    headings: Sequence[str], rows: Iterable[Sequence[object]], layout: Layout = PLAIN, *, columns: int = 0
) -> list[str]:
    """Align rows below their headings, in ``columns`` characters if that can be done; 0: as wide as they are."""
    cells = [[escaped(str(cell)) for cell in row] for row in [headings, *rows]]
    if columns:
        cells = _fitted(cells, layout, columns)
    widths = _widths(cells)
    lines = [_line(row, headings, widths, layout.right) for row in cells]
    return [_dressed(line, row[-1], layout) for line, row in zip(lines, cells, strict=True)]


def _widths(cells: Sequence[Sequence[str]]) -> list[int]:
    return [max(len(cell) for cell in column) for column in zip(*cells, strict=True)]


def _line(row: Sequence[str], headings: Sequence[str], widths: Sequence[int], right: Collection[str]) -> str:
    parts = zip(headings, row, widths, strict=True)
    return GAP.join(cell.rjust(size) if head in right else cell.ljust(size) for head, cell, size in parts).rstrip()


def _dressed(line: str, last: str, layout: Layout) -> str:
    colour = layout.colours.get(last)
    return line if colour is None else line.removesuffix(last) + coloured(last, colour)


def _fitted(cells: list[list[str]], layout: Layout, columns: int) -> list[list[str]]:
    """Shorten ids if texts would become unreadable otherwise, and then the widest of the texts."""
    headings, widths = cells[0], _widths(cells)
    free = [index for index, head in enumerate(headings) if head in layout.free]
    readable = [min(size, _READABLE) if index in free else size for index, size in enumerate(widths)]
    if layout.ids in headings and _total(readable) > columns:
        index = headings.index(layout.ids)
        size = _enough_of([row[index] for row in cells[1:]])
        cells = [headings, *([*row[:index], row[index][:size], *row[index + 1 :]] for row in cells[1:])]
        widths = _widths(cells)
    while (excess := _total(widths) - columns) > 0:
        wide = [index for index in free if widths[index] > max(len(headings[index]), _LEAST)]
        if not wide:
            break  # a terminal so narrow wraps
        widest = max(wide, key=lambda index: widths[index])
        others = max((widths[index] for index in wide if index != widest), default=0)
        least = max(len(headings[widest]), _LEAST)
        widths[widest] = max(least, widths[widest] - excess, min(others, widths[widest] - 1))
    return [[_cut(cell, size) for cell, size in zip(row, widths, strict=True)] for row in cells]


def _total(widths: Sequence[int]) -> int:
    return sum(widths) + len(GAP) * (len(widths) - 1)


def _enough_of(ids: Sequence[str]) -> int:
    """Give how many characters tell all ids apart."""
    size, longest = SHORT_ID, max(map(len, ids), default=0)
    while size < longest and len({each[:size] for each in ids}) < len(set(ids)):
        size += 1
    return size


def _cut(cell: str, size: int) -> str:
    return cell if len(cell) <= size else f"{cell[: size - 1]}\u2026"
