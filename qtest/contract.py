"""The contract of drivers: subclass it, say how your driver is made, and run pytest.

::

    class TestMyDriver(DriverContract):
        features = Features(extend=False)          # what it does not claim is skipped, with that reason

        def make_driver(self, clock):
            return MyDriver(clock, retry_after=self.retry_after)

Every promise of ``qcore.driver`` has its tests here; a driver that passes them can be trusted with jobs.
"""

from __future__ import annotations

from qtest.contract_base import Features, needs
from qtest.contract_effects import EffectsContract
from qtest.contract_fencing import FencingContract
from qtest.contract_inspection import InspectionContract
from qtest.contract_locks import LocksContract
from qtest.contract_moves import MovesContract
from qtest.contract_names import NamesContract
from qtest.contract_pipelined import PipelinedContract
from qtest.contract_time import TimeContract
from qtest.contract_waiting import WaitingContract

__all__ = ["DriverContract", "Features", "needs"]


class DriverContract(
    MovesContract,
    NamesContract,
    FencingContract,
    EffectsContract,
    LocksContract,
    TimeContract,
    WaitingContract,
    InspectionContract,
    PipelinedContract,
):
    """Tests of every promise a driver makes. See ``ContractBase`` for what a subclass says."""
