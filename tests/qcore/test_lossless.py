"""What would get lost on the way through a payload is refused at the push, in production too."""

from __future__ import annotations

from dataclasses import dataclass

import attrs
import pytest

from qcore import Job, JobDefinitionError, PayloadError
from qcore.codec import Codec


class Base:
    __slots__ = ("hidden",)

    hidden: int


@dataclass
class Point(Base):
    x: int = 0


@attrs.frozen(cache_hash=True)
class Hashed:
    x: int


def test_a_slot_that_is_no_field_is_refused() -> None:
    point = Point(1)
    encoded = Codec().encode(point)
    point.hidden = 2

    assert point == Codec().decode(encoded)
    with pytest.raises(PayloadError, match=r"at: .*Point holds 'hidden', which is no field of it and would be lost"):
        Codec().encode(point, path="at")


def test_the_hash_that_attrs_keeps_is_no_state() -> None:
    hashed = Hashed(1)
    hash(hashed)

    assert hashed == Codec().decode(Codec().encode(hashed))


@pytest.mark.parametrize("base", [dict, list, ValueError, int])
def test_a_job_that_is_also_a_value_of_its_own_is_refused(base: type) -> None:
    made = type("Both", (base, Job), {"handle": lambda _: None, "__module__": __name__})

    with pytest.raises(
        JobDefinitionError, match=f"Both is also a {base.__name__}.* keep the {base.__name__} in an attr"
    ):
        made().dispatch(connection="memory")
