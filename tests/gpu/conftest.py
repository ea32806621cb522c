"""These tests run on the stub alone: `make test-gpu`, or `python -m tests.gpu`. Their table is printed at the end."""

import logging
import warnings
from collections.abc import Callable

import pytest

from tests.gpu import device

if device.PRESENT:
    warnings.simplefilter("ignore")
    logging.disable(logging.WARNING)


def pytest_ignore_collect(collection_path) -> bool | None:
    return True if not device.PRESENT and collection_path.name.startswith("test_") else None


@pytest.fixture
def row(record_property) -> Callable[..., None]:
    """row(table, **cells): a line of a table that is printed when all is done."""
    return lambda table, **cells: record_property("row", (table, cells))


def pytest_terminal_summary(terminalreporter) -> None:
    tables: dict[str, list[dict]] = {}
    for report in [r for kind in ("passed", "failed") for r in terminalreporter.stats.get(kind, [])]:
        for _, (table, cells) in [p for p in report.user_properties if p[0] == "row"]:
            tables.setdefault(table, []).append(cells | {"": "" if report.passed else "FAIL"})
    for table, rows in sorted(tables.items()):
        width = {key: max(len(key), *(len(str(row.get(key, ""))) for row in rows)) for key in rows[0]}
        terminalreporter.section(table)
        for row in [{key: key for key in width}, *sorted(rows, key=lambda row: str(row.get("name")))]:
            cells = [str(row[key]).ljust(n) if key == "name" else str(row[key]).rjust(n) for key, n in width.items()]
            terminalreporter.write_line("  ".join(cells).rstrip())
