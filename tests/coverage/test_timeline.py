"""Pictures of a coverage, in text and SVG: complete, escaped, inside their axis, readable."""

from __future__ import annotations

import datetime as dt
import re
import xml.etree.ElementTree as ET
from collections.abc import Callable, Iterator
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings, strategies as st

from sqlalchemy_matrixone_pitr import CoverageReport, Moment, PitrLevel, PitrValidationError
from sqlalchemy_matrixone_pitr.coverage.model import Gap, Kept, Window, WindowKind
from sqlalchemy_matrixone_pitr.coverage.table import TableCoverage
from sqlalchemy_matrixone_pitr.coverage.timeline import to_svg, to_text
from sqlalchemy_matrixone_pitr.coverage.timeline.axis import SHORTEST, Axis
from sqlalchemy_matrixone_pitr.coverage.timeline.rows import FEW, Picture
from sqlalchemy_matrixone_pitr.coverage.timeline.style import DARK, LIGHT, Palette
from sqlalchemy_matrixone_pitr.extent import Extent
from sqlalchemy_matrixone_pitr.printing import cells, cut, one_line
from tests.coverage.timelines import (
    DATABASE,
    ESTATE_REVISIONS,
    IMAGES,
    NOW,
    REVISIONS,
    active,
    ago,
    detached,
    estate,
    images,
    policy,
    report,
    shop,
    snapshot,
    table,
)

ODD = """a "quoted" <b>&amp; 'name' `x`]]>"""
EVIL = "evil\x1b[31m\n\u202ename\ufffe"


def elements(svg: str, tag: str) -> Iterator[ET.Element]:
    return ET.fromstring(svg).iter(f"{{http://www.w3.org/2000/svg}}{tag}")


def texts(svg: str) -> list[str]:
    return [element.text or "" for element in elements(svg, "text")]


def titles(svg: str) -> list[str]:
    return [element.text or "" for element in elements(svg, "title")]


def classes(svg: str) -> set[str]:
    found = ET.fromstring(svg).iter()
    return {name for element in found for name in element.get("class", "").split()}


def line_of(text: str, name: str) -> str:
    """The line of a text that begins with a table's name."""
    (line,) = (line for line in text.splitlines() if line.split()[:1] == [name])
    return line


# ----------------------------------------------------------------------------------------- the docs


@pytest.mark.parametrize("name", images())
def test_the_pictures_of_the_docs_are_up_to_date(name: str) -> None:
    """``python -m tests.coverage.timelines`` writes them."""
    assert (IMAGES / name).read_text(encoding="utf-8") == images()[name]


def test_the_pictures_of_the_docs_are_shown_with_a_text_instead() -> None:
    pages = [IMAGES.parents[1] / "README.md", IMAGES.parent / "coverage.md"]
    shown = {
        (page.parent / path).resolve(): alternative
        for page in pages
        for alternative, path in re.findall(r"!\[([^\]]*)\]\(([^)]+\.svg)\)", page.read_text())
    }
    assert set(shown) == {(IMAGES / name).resolve() for name in images()}
    assert all(len(alternative) > 40 for alternative in shown.values())


# --------------------------------------------------------------------------------------------- text


def test_a_shop_in_80_columns() -> None:
    lines = to_text(shop(), width=80, revisions=REVISIONS).splitlines()
    assert lines[:2] == [
        "5 tables in 1 database                              now 28 Nov 2026 09:30:00 UTC",
        "4 of 5 restorable to 26 Nov 2026 14:20:00 UTC",
    ]
    assert lines[-10:] == [
        "shop  5 tables",
        "  addresses T ·············░░░░░░░░░░░░░░░░░░░░░░░░░░░░░│░░░╱╱╱╱╱╱ ✓ detached",
        "  customers T ·············░░░░░░░░░░░░░░░░╱╱╱╱╱╱▂▂▂▂▂▂▂│▂▂▂▂▂▂▂▂▂ ✓ rows only",
        "  orders    D ·············▆▆▆▆▆▆▆▆▆▆▆▆▆▆▆▆▆▆▆▆▆▆▆▆▆▆▆▆▆│▆▆▆▆▆▆▆▆▆ ✓ covered",
        "            T ·▂▂▂▂▂▂▂▂▂▂▂▂▂▂▂▂▂▂▂▂▂▂▂▂▂▂▂▂▂▂▂▂▂▂▂▂▂▂▂▂▂│▂▂▂▂▂▂▂▂▂",
        "  payments  T ···································▆▆▆▆▆▆▆│▆▆▆▆▆▆▆▆▆ ✓ covered",
        "  sessions    ··········································│········· ✗ unprotected",
        "",
        "▆▆ kept   ▂▂ rows only, no indexes   ░░ detached: shrinking   ╱╱ gap: not kept",
        "D database   T table",
    ]


def test_marks_stand_above_their_columns() -> None:
    lines = to_text(shop(), width=120, revisions=REVISIONS).splitlines()
    rule = next(line for line in lines if "─" in line)
    named = {
        line.index("▾", start) for line in lines if line != rule for start in positions(line, "▾")
    }
    assert named == set(positions(rule, "▾"))
    assert len(named) == 3


def positions(text: str, sign: str) -> list[int]:
    return [at for at, character in enumerate(text) if character == sign]


def test_wide_text_names_levels_and_policies() -> None:
    text = to_text(shop(), width=200)
    assert "orders    database shop_week 7d" in text
    assert "customers table    customers_week__g2 7d" in text
    assert "T table" not in text


def test_without_colour_there_is_no_escape() -> None:
    assert "\x1b" not in to_text(report(table(EVIL, EVIL, active(EVIL, ago(days=1)))), width=200)


def test_colour_changes_nothing_else() -> None:
    for columns in (40, 80, 200):
        coloured = to_text(estate(), width=columns, color=True, revisions=ESTATE_REVISIONS)
        assert "\x1b[36m" in coloured
        plain = re.sub(r"\x1b\[[0-9;]*m", "", coloured)
        assert plain == to_text(estate(), width=columns, revisions=ESTATE_REVISIONS)


def test_ascii_is_ascii() -> None:
    tables = report(
        *shop().tables, table("shop", "tags", snapshot("s", ago(days=2)), active("t", ago(days=1)))
    )
    text = to_text(tables, width=80, ascii=True, revisions=REVISIONS, at=ago(days=1))
    assert text.isascii()
    assert {"#", "=", "-", "/", "*", "|"} <= set(text)


def test_the_width_is_the_terminals(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "93")
    assert to_text(shop()) == to_text(shop(), width=93)


def test_a_name_that_is_too_long_is_whole_on_a_line_of_its_own() -> None:
    name = "n" * 70
    text = to_text(report(table("shop", name, active("p", ago(days=1)))), width=60)
    assert f"  {name}" in text.splitlines()


def test_the_shortest_gap_is_seen() -> None:
    begin, end = ago(days=300), ago(days=300) + dt.timedelta(seconds=5)
    tables = report(
        table(
            "shop",
            "orders",
            detached("a", ago(days=365), begin),
            active("b", end),
            gaps=(Gap(begin, end, "rebuilt"),),
        )
    )
    assert line_of(to_text(tables, width=80), "orders").count("╱") == 1


def test_no_tables() -> None:
    assert to_text(report(), width=60).splitlines() == [
        "no tables                       now 28 Nov 2026 09:30:00 UTC"
    ]
    assert "no tables" in texts(to_svg(report()))


# ---------------------------------------------------------------------------------------------- svg


def test_names_are_escaped() -> None:
    svg = to_svg(
        report(table(ODD, EVIL, active(ODD, ago(days=1))), table(ODD, ODD)),
        revisions=[(ODD, ago(hours=1)), (EVIL, ago(days=9))],
        title=ODD,
    )
    assert texts(svg).count(ODD) == 4  # title, database, table, revision
    assert "evil\\x1b[31m\\n\\u202ename\\ufffe" in texts(svg)
    assert f"table · {ODD} · 7d" in texts(svg)
    assert [element.get("aria-label") for element in elements(svg, "svg")] == [
        f"{ODD}: 2 tables in 1 database"
    ]


def test_it_needs_nothing_else() -> None:
    """No script, no link, no font, no image; it is well-formed and knows both themes."""
    svg = to_svg(estate(), revisions=ESTATE_REVISIONS)
    tags = {element.tag.rpartition("}")[2] for element in ET.fromstring(svg).iter()}
    assert tags <= {
        *("svg", "style", "defs", "pattern", "rect", "line", "path", "circle", "text", "title"),
        "g",
    }
    assert svg.count("http") == 1  # the name space
    assert svg.count("@media (prefers-color-scheme: dark)") == 1
    assert set(re.findall(r"url\(([^)]*)\)", svg)) == {"#mo-pitr-gap"}


def test_a_theme_is_chosen() -> None:
    light, dark = to_svg(shop(), theme="light"), to_svg(shop(), theme="dark")
    assert LIGHT.paper in light
    assert DARK.paper not in light
    assert DARK.paper in dark
    assert "@media" not in light + dark
    with pytest.raises(PitrValidationError, match="theme 'blue' is not known"):
        to_svg(shop(), theme="blue")  # type: ignore[arg-type]


def test_every_class_that_is_used_has_a_style() -> None:
    svg = to_svg(estate(), revisions=ESTATE_REVISIONS, at=ago(days=1)) + to_svg(shop())
    (sheet, _) = re.findall(r"<style>(.*?)</style>", svg, re.DOTALL)
    styled = set(re.findall(r"\.([a-z][a-z-]*)", sheet))
    used = {name for part in svg.split("</svg>\n")[:2] for name in classes(part + "</svg>")}
    assert used <= styled


def test_tooltips_say_what_bars_show() -> None:
    told = titles(to_svg(shop(), revisions=REVISIONS))
    assert (
        "customers_week__g2: table level, 7d\nfrom 25 Nov 2026 07:10:00 UTC until now\n"
        "rows only: it keeps no indexes, UNIQUE keys or partitions"
    ) in told
    assert (
        "not kept from 24 Nov 2026 08:05:00 UTC until 25 Nov 2026 07:10:00 UTC\n"
        "rebuilt by revision 4f2a, renewed 23 hours later"
    ) in told
    assert "4f2a add loyalty: 24 Nov 2026 08:05:00 UTC" in told
    assert "not restorable to 26 Nov 2026 14:20:00 UTC" in told
    assert any("unprotected: rebuilt at every login" in one for one in told)


def test_a_name_is_cut_only_where_it_is_very_long() -> None:
    shorter, longer = "n" * 64, "n" * 90 + "end"
    svg = to_svg(report(table("a", shorter), table("a", longer)))
    assert {shorter, cut(longer, 64)} <= set(texts(svg))
    assert any(longer in told for told in titles(svg))
    (drawing,) = elements(svg, "svg")
    assert float(drawing.get("width", "")) > 960


def test_what_began_before_the_picture_says_so() -> None:
    svg = to_svg(
        report(table("a", "b", active("p", ago(days=9)), detached("q", ago(days=9), ago(days=8)))),
        since=ago(days=2),
        revisions=[("old", ago(days=5)), ("new", ago(days=1))],
    )
    assert "‹ table · p · 7d" in texts(svg)
    assert "‹ 1 earlier revision" in texts(svg)
    assert "old" not in texts(svg)
    assert not any("· q ·" in text for text in texts(svg))


def luminance(colour: str) -> float:
    channels = [int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5)]
    red, green, blue = (
        c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in channels
    )
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def contrast(one: str, other: str) -> float:
    darker, lighter = sorted((luminance(one), luminance(other)))
    return (lighter + 0.05) / (darker + 0.05)


@pytest.mark.parametrize("palette", [LIGHT, DARK], ids=["light", "dark"])
def test_texts_have_contrast(palette: Palette) -> None:
    for colour in (palette.ink, palette.soft, palette.good, palette.poor, palette.bad):
        assert contrast(colour, palette.paper) >= 4.5
    for colour in (palette.gap, palette.chosen):
        assert contrast(colour, palette.paper) >= 4.5
    assert contrast(palette.soft, palette.band) >= 4.5
    assert contrast(palette.on_chosen, palette.chosen) >= 4.5
    for level in PitrLevel:
        assert contrast(palette.on_bar, palette.levels[level]) >= 4.5
        assert contrast(palette.written(level), palette.faded(level)) >= 4.5
        assert contrast(palette.levels[level], palette.paper) >= 3


# ----------------------------------------------------------------------------------------- grouping


def test_an_estate_is_read_by_its_exceptions() -> None:
    text = to_text(estate(), width=80)
    names = [
        line.split()[0] for line in text.splitlines() if line.startswith("  ") and line.strip()
    ]
    assert "invoice_* · 118 tables" in text
    assert "try_* · 24 tables" in text
    assert {"orders", "order_lines", "vouchers", "baskets", "ledger", "tax_rates"} <= set(names)
    assert names.index("orders") < names.index("catalogue_*")
    assert len(text.splitlines()) < 40


def test_few_tables_have_a_line_each() -> None:
    few = report(*(table("a", f"t{n:02}", active("p", ago(days=1))) for n in range(FEW)))
    assert "· " not in to_text(few, width=80).replace("··", "")
    assert {f"t{n:02}" for n in range(FEW)} <= set(texts(to_svg(few)))


@pytest.mark.parametrize("count", [25, 500])
def test_every_table_is_counted_once(count: int) -> None:
    picture = picture_of(estate() if count == 500 else report(*estate().tables[:count]))
    lines = [line for group in picture.groups for line in group.lines]
    drawn = [found.key for line in lines for found in line.tables]
    assert sorted(drawn) == [found.key for found in picture.report.tables]
    assert len(drawn) == count


def test_policies_of_tables_are_not_named_for_their_neighbours() -> None:
    many = report(*(table("a", f"t{n:02}", active(f"p{n}", ago(days=1))) for n in range(40)))
    assert "table · 7d" in texts(to_svg(many))
    assert "p1" not in to_text(many, width=200)
    assert any("a policy of each table" in told for told in titles(to_svg(many)))


def test_tables_of_one_line_may_differ_at_a_moment() -> None:
    """Then the line says how many can be restored."""
    begins = [ago(days=9, hours=number / 2) for number in range(100)]
    many = report(
        *(
            table("a", f"t{number:02}", active("p", begin, "30d", DATABASE))
            for number, begin in enumerate(begins)
        )
    )
    text = to_text(many, width=80, at=ago(days=9, hours=24.75))
    assert "50 of 100 restorable" in text
    parts = [int(yes) for yes in re.findall(r" ([0-9]+) of [0-9]+ covered", text)]
    assert parts
    whole = [int(number) for number in re.findall(r"([0-9]+) tables .* ✓ covered", text)]
    assert sum(parts) + sum(whole) == 50


def test_many_different_tables_are_still_few_lines() -> None:
    many = report(
        *(table("a", f"t{n}", active(f"p{n}", ago(days=30 - n / 20), "30d")) for n in range(500))
    )
    assert len(to_text(many, width=80).splitlines()) < 70
    assert len(texts(to_svg(many))) < 500


# --------------------------------------------------------------------------------------------- axis


def labels(begin: str, most: int, zone: dt.tzinfo = dt.UTC, end: Moment = NOW) -> list[str]:
    axis = Axis(Moment.parse(begin), end, zone)
    return [f"{tick.context} {tick.label}".strip() for tick in axis.ticks(most)]


@pytest.mark.parametrize(
    ("begin", "expected"),
    [
        ("2026-11-28 09:15:30Z", ["28 Nov 09:20", "09:25", "09:30"]),
        ("2026-11-28 00:10:00Z", ["28 Nov 02:00", "04:00", "06:00", "08:00"]),
        (
            "2026-11-26 20:00:00Z",
            ["27 Nov 00:00", "06:00", "12:00", "18:00", "28 Nov 00:00", "06:00"],
        ),
        ("2026-11-24 10:00:00Z", ["Nov 2026 25", "26", "27", "28"]),
        ("2026-10-29 10:00:00Z", ["Nov 2026 2", "9", "16", "23"]),
        ("2026-06-30 10:00:00Z", ["2026 Jul", "Aug", "Sep", "Oct", "Nov"]),
        ("2025-05-30 10:00:00Z", ["2025 Jul", "Oct", "2026 Jan", "Apr", "Jul", "Oct"]),
        ("1999-05-30 10:00:00Z", ["2000", "2005", "2010", "2015", "2020", "2025"]),
    ],
)
def test_ticks(begin: str, expected: list[str]) -> None:
    assert labels(begin, 6) == expected


def test_ticks_are_on_midnight_of_the_zone() -> None:
    zone = ZoneInfo("Asia/Kolkata")
    ticks = Axis(Moment.parse("2026-11-24 10:00:00Z"), NOW, zone).ticks(6)
    assert {tick.at.datetime(zone).time() for tick in ticks} == {dt.time()}


def test_an_hour_that_no_clock_shows_has_no_tick() -> None:
    berlin = ZoneInfo("Europe/Berlin")
    spring = labels("2026-03-29 00:00:00Z", 6, berlin, Moment.parse("2026-03-29 03:00:00Z"))
    assert spring == ["29 Mar 01:00", "03:00", "04:00", "05:00"]


def test_a_zone_is_named() -> None:
    assert "now 28 Nov 2026 10:30:00 CET" in to_text(shop(), width=80, zone="Europe/Berlin")
    with pytest.raises(PitrValidationError, match="no zone"):
        to_svg(shop(), zone="Mars/Olympus")


def picture_of(made: CoverageReport) -> Picture:
    return Picture.of(made, at=None, revisions=(), since=None, zone="UTC")


@pytest.mark.parametrize("draw", [to_text, to_svg])
def test_moments_are_checked(draw: Callable[..., str]) -> None:
    with pytest.raises(PitrValidationError, match="lies in the future"):
        draw(shop(), at=NOW + dt.timedelta(seconds=1))
    with pytest.raises(PitrValidationError, match="less than a minute"):
        draw(shop(), since=NOW)
    with pytest.raises(PitrValidationError, match="has no zone"):
        draw(shop(), revisions=[("a", dt.datetime(2026, 1, 1))])


# --------------------------------------------------------------------------------------- any report


names = st.text(st.characters(exclude_categories=()), min_size=1, max_size=90) | st.sampled_from(
    ["orders", "注文", ODD, EVIL]
)
moments = st.integers(0, 400 * 86400).map(lambda seconds: NOW - dt.timedelta(seconds=seconds))


@st.composite
def windows(draw: st.DrawFn) -> Window:
    begin, end = sorted((draw(moments), draw(moments)))
    kind = draw(st.sampled_from(WindowKind))
    if kind is WindowKind.SNAPSHOT:
        return snapshot(draw(names), begin, draw(st.sampled_from(PitrLevel)))
    made = detached if kind is WindowKind.DETACHED else active
    window = made(draw(names), begin, end=end, level=draw(st.sampled_from(PitrLevel)))
    if kind is WindowKind.POLICY:
        return Window(
            begin,
            draw(st.sampled_from([None, end])),
            window.by,
            window.level,
            kind,
            kept=draw(st.sampled_from(Kept)),
            indexes=draw(st.booleans()),
            range=window.range,
        )
    return window


@st.composite
def tables(draw: st.DrawFn) -> TableCoverage:
    begin, end = sorted((draw(moments), draw(moments)))
    return table(
        draw(st.sampled_from(["shop", "注文", ODD])),
        draw(names),
        *draw(st.lists(windows(), max_size=4)),
        gaps=draw(st.sampled_from([(), (Gap(begin, end, EVIL),), (Gap(begin, None, ""),)])),
        extent=draw(st.sampled_from(Extent)),
        exists=draw(st.booleans()),
        unprotected=draw(st.none() | names),
        requirement=draw(st.none() | st.just("30d")),
        policies=draw(st.sampled_from([(), (policy("p", "a", "b", status="unknown"),)])),
    )


reports = st.lists(tables(), max_size=40, unique_by=lambda one: one.key).map(
    lambda found: report(*found)
)
marks = st.lists(st.tuples(names, moments), max_size=4)


@settings(max_examples=60)
@given(reports, marks, st.none() | moments, st.integers(1, 250), st.booleans())
def test_any_report_is_lines_no_wider_than_asked(
    made: CoverageReport,
    revisions: list[tuple[str, Moment]],
    at: Moment | None,
    width: int,
    ascii: bool,
) -> None:
    text = to_text(made, width=width, at=at, revisions=revisions, ascii=ascii)
    alone = {f"  {line.label}" for group in picture_of(made).groups for line in group.lines}
    alone |= {group.label for group in picture_of(made).groups}
    marked = [one_line(name) for name, _ in revisions]
    for line in text.split("\n"):
        long = cells(line) > max(width, 40)
        assert not long or line in alone or any(name in line for name in marked)
        assert line.isprintable()
    for group in picture_of(made).groups:
        assert all(line.label in text for line in group.lines)


@settings(max_examples=60)
@given(reports, marks, st.none() | moments, st.integers(100, 1600))
def test_any_report_is_a_document_with_its_bars_inside(
    made: CoverageReport, revisions: list[tuple[str, Moment]], at: Moment | None, width: int
) -> None:
    svg = to_svg(made, at=at, revisions=revisions, width=width)
    (drawing,) = elements(svg, "svg")
    right, bottom = float(drawing.get("width", "")), float(drawing.get("height", ""))
    (edge,) = (
        float(line.get("x1", ""))
        for line in elements(svg, "line")
        if line.get("class") == "line now"
    )
    levels = {*PitrLevel, *(f"{level}-faded" for level in PitrLevel), "gap"}
    for rect in elements(svg, "rect"):
        if rect.get("x") is None:
            continue  # of the pattern
        x, y, w, h = (float(rect.get(name, "")) for name in ("x", "y", "width", "height"))
        assert w > 0
        assert 0 <= y <= y + h <= bottom
        if levels & set(rect.get("class", "").split()) and h > 13:  # not of the legend
            assert 20 < x <= x + w <= edge + 0.02
        else:
            assert (
                -0.01 <= x <= x + w <= max(right, 0) + 0.02 or rect.get("class") == "revision-box"
            )
    shown = texts(svg)
    for group in picture_of(made).groups:
        assert all(cut(line.label, 64) in shown for line in group.lines)


@settings(max_examples=200)
@given(
    st.integers(10**17, NOW.nanoseconds - 60 * 10**9).map(Moment),
    st.integers(1, 40),
    st.sampled_from(["UTC", "Europe/Berlin", "America/Sao_Paulo", "Australia/Lord_Howe"]),
)
def test_any_axis_has_a_few_round_times(begin: Moment, most: int, zone: str) -> None:
    axis = Axis(begin, NOW, ZoneInfo(zone))
    ticks = axis.ticks(most)
    assert len(ticks) <= most
    assert len(ticks) >= min(most // 6, axis.span // (60 * 10**9) - 1)
    places = [axis.position(tick.at) for tick in ticks]
    assert places == sorted(set(places))
    assert all(tick.at in axis for tick in ticks)
    assert all(
        tick.context for tick in ticks[:1] if not tick.label.isdigit() or len(tick.label) < 4
    )


def test_an_axis_is_a_minute_at_least() -> None:
    new = report(table("a", "b", active("p", NOW)))
    assert picture_of(new).axis.span >= SHORTEST // dt.timedelta(microseconds=1) * 1000
