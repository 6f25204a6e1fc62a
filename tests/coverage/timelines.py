"""Reports made by hand: a small shop with a mishap or two, and a grouped estate.

``python -m tests.coverage.timelines`` writes the pictures of the docs anew.
"""

from __future__ import annotations

import datetime as dt
from pathlib import Path
from typing import Final

from sqlalchemy_matrixone_pitr import Moment, Pitr, PitrLevel, PitrRange, PitrStatus
from sqlalchemy_matrixone_pitr.coverage.model import Gap, Kept, Window, WindowKind
from sqlalchemy_matrixone_pitr.coverage.report import CoverageReport
from sqlalchemy_matrixone_pitr.coverage.table import TableCoverage
from sqlalchemy_matrixone_pitr.coverage.timeline import to_svg
from sqlalchemy_matrixone_pitr.extent import Extent, Parts

NO_PARTS: Final = Parts()

ACCOUNT, DATABASE = PitrLevel.ACCOUNT, PitrLevel.DATABASE

NOW: Final = Moment.parse("2026-11-28 09:30:00Z")


def ago(**length: float) -> Moment:
    return NOW - dt.timedelta(**length)


def active(
    by: str,
    begin: Moment,
    range: str = "7d",
    level: PitrLevel = PitrLevel.TABLE,
    *,
    indexes: bool = True,
    kept: Kept = Kept.KEPT,
    end: Moment | None = None,
) -> Window:
    return Window(
        begin,
        end,
        by,
        level,
        WindowKind.POLICY,
        kept=kept,
        indexes=indexes,
        range=PitrRange.parse(range),
    )


def detached(
    by: str,
    begin: Moment,
    end: Moment,
    range: str = "7d",
    level: PitrLevel = PitrLevel.TABLE,
    *,
    indexes: bool = True,
) -> Window:
    return Window(
        begin,
        end,
        by,
        level,
        WindowKind.DETACHED,
        indexes=indexes,
        range=PitrRange.parse(range),
    )


def snapshot(by: str, at: Moment, level: PitrLevel = PitrLevel.ACCOUNT) -> Window:
    return Window(at, at, by, level, WindowKind.SNAPSHOT)


def policy(
    name: str, database: str, table: str | None, range: str = "7d", *, status: str = "active"
) -> Pitr:
    level = PitrLevel.DATABASE if table is None else PitrLevel.TABLE
    return Pitr(
        name,
        level,
        range,
        database_name=database,
        table_name=table,
        status=PitrStatus(status),
    )


def table(
    database: str,
    name: str,
    *windows: Window,
    gaps: tuple[Gap, ...] = (),
    extent: Extent = Extent.ALL,
    policies: tuple[Pitr, ...] = (),
    parts: Parts = NO_PARTS,
    exists: bool = True,
    unprotected: str | None = None,
    requirement: str | None = None,
) -> TableCoverage:
    return TableCoverage(
        database,
        name,
        windows=tuple(sorted(windows, key=lambda window: window.begin)),
        policies=policies,
        gaps=gaps,
        exists=exists,
        parts=parts,
        extent=extent,
        unprotected=unprotected,
        requirement=None if requirement is None else PitrRange.parse(requirement),
        meets_requirement=None if requirement is None else False,
    )


def report(*tables: TableCoverage, at: Moment | None = None) -> CoverageReport:
    return CoverageReport("sys", NOW, tuple(sorted(tables, key=lambda table: table.key)), at=at)


# --------------------------------------------------------------------------------------- the small


MISTAKE: Final = Moment.parse("2026-11-26 14:20:00Z")

REVISIONS: Final = (
    ("4f2a add loyalty", Moment.parse("2026-11-24 08:05:00Z")),
    ("9c31 split addresses", Moment.parse("2026-11-27 10:40:00Z")),
)


def shop() -> CoverageReport:
    """Five tables: covered twice, rows only, a gap healed by a renewal, detached, not protected."""
    rebuilt = Moment.parse("2026-11-24 08:05:00Z")
    renewed = Moment.parse("2026-11-25 07:10:00Z")
    split = Moment.parse("2026-11-27 10:40:00Z")
    indexed = Parts(("uq_email",))
    return report(
        table(
            "shop",
            "orders",
            active("shop_week", ago(days=7), level=PitrLevel.DATABASE),
            active("orders_month", ago(days=9.3), "1mo", indexes=False),
            policies=(policy("orders_month", "shop", "orders", "1mo"),),
            parts=Parts(("ix_placed",)),
        ),
        table(
            "shop",
            "customers",
            detached("customers_week", ago(days=7), rebuilt, indexes=False),
            active("customers_week__g2", renewed, indexes=False),
            gaps=(Gap(rebuilt, renewed, "rebuilt by revision 4f2a, renewed 23 hours later"),),
            extent=Extent.ROWS,
            parts=indexed,
        ),
        table("shop", "payments", active("payments_days", ago(days=3), "3d")),
        table(
            "shop",
            "addresses",
            detached("addresses_week", ago(days=7), split),
            gaps=(Gap(split, None, "rebuilt by revision 9c31, not renewed"),),
            extent=Extent.NOTHING,
            policies=(policy("addresses_week", "shop", "addresses", status="detached"),),
        ),
        table("shop", "sessions", extent=Extent.NOTHING, unprotected="rebuilt at every login"),
        at=MISTAKE,
    )


# --------------------------------------------------------------------------------------- the estate


def _month(by: str, **more: float) -> Window:
    return active(by, ago(days=30, **more), "30d", PitrLevel.DATABASE)


def estate() -> CoverageReport:
    """Five databases with 500 tables: most kept alike, some not."""
    gone = ago(days=11.2)
    nightly = tuple(
        snapshot(f"month_end_{number}", ago(days=days)) for number, days in enumerate((27.9, 58))
    )
    tables = [
        table("billing", f"invoice_{number:03}", _month("billing_month"), *nightly)
        for number in range(118)
    ]
    tables += [
        table(
            "billing",
            "ledger",
            _month("billing_month"),
            active("ledger_quarter", ago(days=74), "3mo", indexes=False),
            *nightly,
            parts=Parts(("ix_account", "uq_entry")),
        ),
        table(
            "billing",
            "tax_rates",
            active("billing_month", ago(days=4.6), "30d", PitrLevel.DATABASE),
        ),
    ]
    tables += [
        table("events", f"click_{number:03}", active("events_days", ago(days=14), "14d", DATABASE))
        for number in range(236)
    ]
    tables += [
        table("events", f"view_{number:02}", active("events_days", ago(days=6), "14d", DATABASE))
        for number in range(60)
    ]
    renewed = ago(days=9.8)
    tables += [
        table(
            "shop",
            name,
            detached(f"{name}_month", ago(days=30), gone, "30d", indexes=False),
            active(f"{name}_month__g2", renewed, "30d", indexes=False),
            gaps=(Gap(gone, renewed, "rebuilt by revision 7be0, renewed later"),),
            extent=Extent.ROWS,
        )
        for name in ("orders", "order_lines")
    ]
    tables += [
        table("shop", f"catalogue_{number:02}", active(f"cat_{number}_month", ago(days=30), "30d"))
        for number in range(38)
    ]
    tables += [
        table(
            "shop",
            "baskets",
            active("baskets_month", ago(days=30), "30d", kept=Kept.PROBABLE, end=ago(days=21)),
            active("baskets_month", ago(days=21), "30d"),
        ),
        table(
            "shop",
            "stock_old",
            detached("stock_month", ago(days=30), ago(days=19), "30d"),
            exists=False,
        ),
        table("shop", "vouchers", active("vouchers_days", ago(days=2), "2d"), requirement="7d"),
    ]
    tables += [table("sandbox", f"try_{number:02}", extent=Extent.NOTHING) for number in range(24)]
    tables += [
        table("warehouse", f"fact_{number:02}", active("everything", ago(days=60), "2mo", ACCOUNT))
        for number in range(17)
    ]
    return report(*tables)


ESTATE_REVISIONS: Final = (
    ("7be0 split orders", ago(days=11.2)),
    ("81d4 renew", ago(days=9.8)),
)


# --------------------------------------------------------------------------------------- the images

IMAGES: Final = Path(__file__).parents[2] / "docs" / "images"


def images() -> dict[str, str]:
    """The pictures of the docs by the names of their files."""
    return {
        "timeline.svg": to_svg(shop(), revisions=REVISIONS, width=840),
        "timeline-estate.svg": to_svg(estate(), revisions=ESTATE_REVISIONS),
    }


if __name__ == "__main__":
    for name, svg in images().items():
        (IMAGES / name).write_text(svg, encoding="utf-8")
