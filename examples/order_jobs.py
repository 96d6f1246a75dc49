"""The jobs of the demo: from a file of orders to a report."""

from __future__ import annotations

import csv
import json
import socket
from collections import defaultdict
from dataclasses import dataclass
from datetime import date
from decimal import Decimal, InvalidOperation
from pathlib import Path

from qcore import Job, job


@dataclass
class ValidateOrders(Job, tries=3):
    """Split the orders into good and bad rows, then have every month summed up by a job of its own."""

    source: Path
    folder: Path

    def handle(self) -> None:
        """Write valid.csv and rejected.csv, and dispatch the next jobs."""
        with self.source.open(newline="") as file:
            rows = list(csv.DictReader(file))
        reasons = [_what_is_wrong(row) for row in rows]
        good = [row for row, reason in zip(rows, reasons, strict=True) if not reason]
        bad = [row | {"reason": reason} for row, reason in zip(rows, reasons, strict=True) if reason]
        _write_rows(self.folder / "valid.csv", good)
        _write_rows(self.folder / "rejected.csv", bad)
        months = sorted({row["date"][:7] for row in good})
        for month in months:
            SumMonth(month, self.folder).dispatch()
        WriteReport(tuple(months), self.folder).dispatch(delay=2)


@dataclass
class SumMonth(Job):
    """Add up one month by country."""

    month: str
    folder: Path

    def handle(self) -> None:
        """Write what each country ordered in this month."""
        totals: dict[str, Decimal] = defaultdict(Decimal)
        with (self.folder / "valid.csv").open(newline="") as file:
            for row in csv.DictReader(file):
                if row["date"].startswith(self.month):
                    totals[row["country"]] += Decimal(row["price"]) * int(row["quantity"])
        sums = {country: str(total) for country, total in sorted(totals.items())}
        (self.folder / f"{self.month}.json").write_text(json.dumps(sums))


@dataclass
class WriteReport(Job, tries=20):
    """Put the months together. Dispatched with a delay; waits a little more when a month is missing."""

    months: tuple[str, ...]
    folder: Path

    def handle(self) -> None:
        """Write report.txt."""
        parts = [self.folder / f"{month}.json" for month in self.months]
        if not all(part.exists() for part in parts) or not (self.folder / "rate.json").exists():
            self.release(1)
            return
        rate = Decimal(json.loads((self.folder / "rate.json").read_text())["USD"])
        lines = [f"{'month':<10}{'EUR':>14}{'USD':>14}"]
        for month, part in zip(self.months, parts, strict=True):
            total = sum((Decimal(value) for value in json.loads(part.read_text()).values()), Decimal())
            lines.append(f"{month:<10}{total:>14,.2f}{total * rate:>14,.2f}")
        rejected = sum(1 for _ in (self.folder / "rejected.csv").open()) - 1
        lines.append(f"{rejected} rows were rejected, see rejected.csv")
        (self.folder / "report.txt").write_text("\n".join(lines) + "\n")


@dataclass
class FetchRate(Job, tries=5, backoff=(0.5, 1)):
    """Ask a service that is known to be away at first: it fails twice, then succeeds."""

    folder: Path

    def handle(self) -> None:
        """Write rate.json."""
        if self.attempts() < 3:  # noqa: PLR2004 - the third attempt finds the service awake
            raise ConnectionError("the exchange rate service does not answer")
        (self.folder / "rate.json").write_text(json.dumps({"USD": "1.0912"}))


@job(tries=2, backoff=0.2, queue="mail")
def mail_accounting(address: str, server: tuple[str, int]) -> None:
    """Tell somebody. No mail server listens in this demo, so this fails for good."""
    with socket.create_connection(server, timeout=1) as connection:
        connection.sendall(f"RCPT TO:<{address}>\r\n".encode())


def _what_is_wrong(row: dict[str, str]) -> str:
    try:
        date.fromisoformat(row["date"])
        wrong = "quantity below 1" if int(row["quantity"]) < 1 else ""
        Decimal(row["price"])
    except (ValueError, InvalidOperation):
        return "unreadable date, quantity or price"
    return wrong if row["country"] else "no country"


def _write_rows(path: Path, rows: list[dict[str, str]]) -> None:
    with path.open("w", newline="") as file:
        writer = csv.DictWriter(file, fieldnames=list(rows[0]) if rows else ["order"])
        writer.writeheader()
        writer.writerows(rows)
