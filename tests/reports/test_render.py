import re
from collections.abc import Callable
from datetime import datetime
from html import unescape
from html.parser import HTMLParser
from pathlib import Path

import pytest

from fairlead.errors import ReadError
from fairlead.evaluation.judgement import Judgement
from fairlead.project import Project
from fairlead.reports import render
from fairlead.schema import Attempt


class Loads(HTMLParser):
    """Whatever a browser would fetch or run on its own."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = {name: value or "" for name, value in attrs}
        if tag in {
            "script",
            "link",
            "iframe",
            "object",
            "embed",
            "base",
            "img",
            "image",
            "use",
            "video",
            "audio",
            "form",
        }:
            self.found.append(f"<{tag}>")
        self.found += [f"{tag} {name}" for name in given if name.startswith("on")]
        self.found += [
            f"{tag} {name}={value}"
            for name, value in given.items()
            if name in {"src", "href", "xlink:href", "srcset", "action", "data", "background", "poster"}
        ]
        self.found += re.findall(r"url\((?!#)[^)]*\)", given.get("style", ""))


def words(page: str) -> str:
    return unescape(re.sub(r"[ \n]+", " ", re.sub(r"<[^>]+>", " ", page.split("</style>", 1)[1])))


def rows(page: str, table: str) -> list[str]:
    body = re.search(rf'<div id="{table}".*?</table>', page, re.DOTALL)
    assert body is not None
    return [words("</style>" + row).strip() for row in re.findall(r"<tr>.*?</tr>", body[0], re.DOTALL)]


def test_an_empty_lake_gives_a_page_that_says_no_data_and_never_zero(project: Project, now: datetime) -> None:
    page = render(project, now=now).read_text(encoding="utf-8")

    text = words(page)
    assert "No data: nothing has been ingested for these days. No policy has been judged yet." in text
    assert set(re.findall(r"<dd[^>]*>([^<]*)</dd><dd class=\"note\">", page)) == {"no data"}
    assert "$0" not in text


def test_the_page_is_named_after_the_day_and_lies_with_the_reports(filled: Project, now: datetime) -> None:
    path = render(filled, now=now)

    assert path == filled.reports / "report-2026-11-11.html"
    assert [entry.name for entry in filled.reports.iterdir()] == [path.name]


def test_a_page_can_be_put_in_a_file_or_a_folder_of_ones_own(filled: Project, now: datetime, tmp_path: Path) -> None:
    (tmp_path / "mine").mkdir()

    assert render(filled, now=now, out=tmp_path / "mine") == tmp_path / "mine" / "report-2026-11-11.html"
    assert render(filled, now=now, out=tmp_path / "new" / "page.html", title="Mine").is_file()


def test_the_headline_says_spend_and_savings_with_the_money(
    filled: Project, judged: Callable[..., Project], judgement: Callable[..., Judgement], now: datetime
) -> None:
    judged(judgement())

    page = render(filled, now=now).read_text(encoding="utf-8")

    found = re.search(r"<h1>(.*?)</h1>", page)
    assert found is not None
    assert unescape(found[1]) == (
        "In the 7 days to 7 November 2026 you spent $3.20 on 300 requests. A routing policy trained on these logs "
        "would have saved 38\u202f% [31, 44], at no measurable loss of quality."
    )
    assert "1 November 2026 to 7 November 2026, that is $3.80 [$3.10, $4.40] of $10.00." in words(page)


def test_spend_is_summed_by_endpoint_team_and_provider(filled: Project, now: datetime) -> None:
    page = render(filled, now=now).read_text(encoding="utf-8")

    assert rows(page, "teams") == [
        "search $2.00 62.5\u202f% 100",
        "not given $1.00 31.2\u202f% 100",
        "support $0.20 6.2\u202f% 100",
        "total $3.20",
    ]
    assert rows(page, "providers")[:2] == ["openai $2.20 68.8\u202f% 200", "anthropic $1.00 31.2\u202f% 100"]
    assert rows(page, "endpoints")[0].startswith("openai/gpt-big $2.00 62.5\u202f%")
    assert "30 attempts (9.1\u202f%) have none: they are missing from every sum here, not free." in words(page)


def test_failures_retries_and_quarantine_are_shown(filled: Project, now: datetime) -> None:
    page = render(filled, now=now).read_text(encoding="utf-8")

    assert "0\u202f% of requests failed in the end; 10\u202f% were tried again, and 100\u202f%" in words(page)
    assert rows(page, "quarantine") == ["not JSON 1 in/log.jsonl:17"]
    assert "781 records in 1 files = 780 stored + 0 known + 1 quarantined." in words(page)


def test_a_loss_is_called_a_loss(
    filled: Project, judged: Callable[..., Project], judgement: Callable[..., Judgement], now: datetime
) -> None:
    judged(judgement(saved=(-0.12, -0.20, -0.05)))

    text = words(render(filled, now=now).read_text(encoding="utf-8"))

    assert "A routing policy trained on these logs would have cost 12\u202f% [5, 20] more" in text
    assert "that is a loss of $1.20 [$0.50, $2.00] of $10.00." in text
    assert "would be lost 12\u202f% [5, 20] % more cost" in text
    assert "would have saved" not in text


def test_logs_that_cannot_tell_are_said_to_be_that(
    filled: Project, judged: Callable[..., Project], judgement: Callable[..., Judgement], now: datetime
) -> None:
    reasons = ["the effective sample size is 38, below 100"]
    judged(judgement(verdict="cannot tell", reasons=reasons))

    page = render(filled, now=now).read_text(encoding="utf-8")

    assert (
        "These logs cannot tell what another routing policy would have saved, because the effective sample size" in page
    )
    assert "38\u202f%" not in words(page)
    assert rows(page, "support")[0].endswith("cannot tell; the effective sample size is 38, below 100")
    assert not any("trained policy" in row for row in rows(page, "policies"))


def test_a_damaged_judgement_is_refused_with_its_path(project: Project, now: datetime) -> None:
    path = project.var / "judgements" / "latest.json"
    path.parent.mkdir(parents=True)
    path.write_text('{"judged_at": 1}', encoding="utf-8")

    with pytest.raises(ReadError, match=re.escape(str(path))):
        render(project, now=now)


def test_the_page_loads_and_runs_nothing(
    filled: Project, judged: Callable[..., Project], judgement: Callable[..., Judgement], now: datetime
) -> None:
    judged(judgement())

    page = render(filled, now=now).read_text(encoding="utf-8")

    loads = Loads()
    loads.feed(page)
    style = re.search(r"<style>(.*?)</style>", page, re.DOTALL)
    assert style is not None
    assert loads.found == []
    assert re.findall(r"@import|url\(|expression\(", style[1]) == []
    namespaces = {"http://www.w3.org/2000/svg", "http://www.w3.org/1999/xlink"}
    assert set(re.findall(r"https?://[^\"'\s)<]+", page)) <= namespaces


def test_hostile_names_are_shown_and_do_nothing(
    project: Project,
    attempt: Callable[..., Attempt],
    fill: Callable[..., None],
    judged: Callable[..., Project],
    judgement: Callable[..., Judgement],
    now: datetime,
) -> None:
    # A control character in a label used to end the whole process inside the chart renderer.
    nasty = "<script>alert(1)</script>\u202egnp.exe\x1b[31m\x00\ufffe"
    fill(
        *(attempt(n, response_model=nasty, team_id="=cmd()|'\"><img src=x onerror=alert(1)>") for n in range(30)),
        attempt(31, provider_name="]]></style><b>", error_class="</table>", status="error", list_cost_usd=None,
                reported_cost_usd=None),
    )  # fmt: skip
    judged(judgement(name="{{ 7 * 7 }}<i>", reasons=["<u>&\u202e"], endpoint_shares={nasty: 1.0}))

    page = render(project, now=now, title="<b>mine</b>").read_text(encoding="utf-8")

    loads = Loads()
    loads.feed(page)
    assert loads.found == []
    assert not re.search("[\u202e\x1b\x00\ufffe]|<b>|<img|<script|<u>|</style><b>|</style>.*</style>", page, re.DOTALL)
    assert "&lt;script&gt;alert(1)&lt;/script&gt;\\u202egnp.exe\\u001b[31m\\u0000\\ufffe" in page
    assert "=cmd()|" in page


def test_many_names_become_a_few_and_other(
    project: Project, attempt: Callable[..., Attempt], fill: Callable[..., None], now: datetime
) -> None:
    fill(*(attempt(n, team_id=f"team {n}", response_model=f"model {n % 40}") for n in range(300)))

    page = render(project, now=now).read_text(encoding="utf-8")

    assert len(rows(page, "teams")) == 10
    assert rows(page, "teams")[8].startswith("other (292 more)")
    assert len(rows(page, "endpoints")) == 10


def test_attempts_without_a_price_are_unknown_not_free(
    project: Project, attempt: Callable[..., Attempt], fill: Callable[..., None], now: datetime
) -> None:
    fill(*(attempt(n, list_cost_usd=None, reported_cost_usd=None) for n in range(9)))

    page = render(project, now=now).read_text(encoding="utf-8")

    assert "On 1 November 2026 there were 9 requests, none with a known price." in words(page)
    assert "$0" not in words(page)
    assert rows(page, "unpriced")[0] == "anthropic/claude 3 450"


def test_an_attempt_dated_in_the_future_does_not_move_the_window(
    project: Project, attempt: Callable[..., Attempt], fill: Callable[..., None], now: datetime
) -> None:
    late = datetime(2099, 1, 1, tzinfo=now.tzinfo)
    fill(*(attempt(n) for n in range(9)), attempt(10, start_time=late, event_date=late.date()))

    text = words(render(project, now=now).read_text(encoding="utf-8"))

    assert "you spent $0.096 on 9 requests." in text
    assert "1 attempts are dated more than a day after this report" in text


def test_a_failed_write_leaves_the_old_page_and_no_crumbs(
    filled: Project, now: datetime, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = render(filled, now=now)
    before = path.read_bytes()

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", full)
    with pytest.raises(OSError, match="No space left"):
        render(filled, now=now, title="another")

    assert path.read_bytes() == before
    assert [entry.name for entry in path.parent.iterdir()] == [path.name]


def test_the_same_data_gives_the_same_page(filled: Project, now: datetime) -> None:
    assert render(filled, now=now).read_bytes() == render(filled, now=now).read_bytes()
