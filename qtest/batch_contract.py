"""The contract of batch stores: subclass it, say how yours is made beside its driver, and run pytest.

::

    class TestMyBatchStore(BatchStoreContract):
        def make_driver(self, clock):
            return MyDriver(clock, retry_after=self.retry_after)

        def make_batch_store(self, driver, clock):
            return MyBatchStore(driver.home, clock)
"""

from __future__ import annotations

from qtest.contract_base import Features, needs
from qtest.contract_callbacks import CallbacksContract
from qtest.contract_members import MembersContract

__all__ = ["BatchStoreContract", "Features", "needs"]


class BatchStoreContract(MembersContract, CallbacksContract):
    """Tests of every promise a batch store makes. See ``ContractBase`` for what a subclass says."""
