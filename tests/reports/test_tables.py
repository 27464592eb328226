import re

from fairlead.evaluation.judgement import Reading
from fairlead.reports import formats, tables
from fairlead.reports.palette import OTHER, Palette


def cells(html: str) -> list[list[str]]:
    found = re.findall(r"<tr>(.*?)</tr>", html, re.DOTALL)
    return [
        [re.sub(r"<[^>]+>", "", cell) for cell in re.findall(r"<td[^>]*>(.*?)</td>", row, re.DOTALL)] for row in found
    ]


def test_a_table_without_rows_says_no_data() -> None:
    assert "no data" in tables.table("t", [tables.names("who", []), tables.money("spend", [])])


def test_markup_in_a_name_or_a_label_is_only_text() -> None:
    html = tables.table("t", [tables.names("<b>", ["<script>x</script>", None]), tables.texts("t", ["a & b", "</td>"])])

    assert cells(html) == [["&lt;script&gt;x&lt;/script&gt;", "a &amp; b"], ["not given", "&lt;/td&gt;"]]
    assert "<script" not in html
    assert "<b>" not in html
    assert "<style" not in html


def test_money_in_a_column_aligns_and_the_unknown_is_said() -> None:
    html = tables.table(
        "t", [tables.names("who", ["a", "b", "c"], total="total"), tables.money("spend", [12.5, 0.001, None], 12.501)]
    )

    assert cells(html) == [["a", "$12.50"], ["b", "&lt;$0.01"], ["c", "no data"], ["total", "$12.50"]]


def test_an_estimate_that_is_missing_is_a_dash_not_a_zero() -> None:
    column = tables.estimates("saved, %", [Reading(38.0, 31.0, 44.0), Reading(None)], formats.signed)

    assert [re.sub(r"<[^>]+>", "", cell) for cell in column.cells] == ["+38.0 [31.0, 44.0]", "–"]


def test_endpoints_of_a_provider_share_its_hue_and_keep_their_colour() -> None:
    palette = Palette.of([("a/x", "a"), ("b/y", "b"), ("a/z", "a"), *((f"p{n}/m", f"p{n}") for n in range(9))])

    assert palette.endpoint("a/x") == palette.provider("a")
    assert len({palette.endpoint(name) for name in ("a/x", "a/z", "b/y")}) == 3
    assert (palette.endpoint("p8/m"), palette.endpoint(None), palette.endpoint("unseen")) == (OTHER, OTHER, OTHER)
