"""The first process of the demo: dispatches the jobs and ends. Run it in this folder."""

from __future__ import annotations

from pathlib import Path

from order_jobs import FetchRate, ValidateOrders, mail_accounting

here = Path(__file__).parent
output = here / ".qcore" / "output"

print("ValidateOrders  ", ValidateOrders(here / "orders.csv", output).dispatch())
print("FetchRate       ", FetchRate(output).dispatch(delay=0.5), "(delayed by half a second)")
print("mail_accounting ", mail_accounting.dispatch("accounting@example.com", ("127.0.0.1", 9)))
