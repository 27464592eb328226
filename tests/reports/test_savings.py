import re
from collections.abc import Callable
from datetime import date, datetime

from msgspec.structs import asdict, replace

from fairlead.evaluation.callers import Clusters
from fairlead.evaluation.judgement import Daily, Judgement, Reading
from fairlead.evaluation.pick import Pick
from fairlead.evaluation.seen import Overlap, Weights
from fairlead.reports.method import notes
from fairlead.reports.palette import Palette
from fairlead.reports.queries import Ask
from fairlead.reports.sections import savings

Made = Callable[..., Judgement]


CLOSE = Pick(policy=None, why="", leader="category_table", untold=["intelligent"])
SAID = (
    "By quality the judge cannot tell which of “best endpoint per category” and “trained policy (intelligent)” is best."
)


def test_pick_days_and_pictures_of_the_evidence_stand_beside_the_judgement(judgement: Made) -> None:
    kept = Daily(
        since=date(2026, 11, 1), days=6, quality_change=Reading(0.018, -0.01, 0.05), cost_change_usd=Reading(-0.0007)
    )
    seen = asdict(Overlap(endpoint="openai/gpt-big", logged_share=0.5, wanted_share=0.5, ess=100.0))
    weights = asdict(Weights(low=0.3, high=1.0, requests_share=1.0, weight_share=1.0))

    section = savings.section(replace(judgement(overlap=[seen], weights=[weights]), daily=kept, pick=CLOSE), Palette())

    assert section.lead.endswith(SAID)
    titles = [block.title for block in section.blocks]
    at = titles.index("The trained policy, kept from day to day")
    assert titles[at + 1 : at + 4] == [
        "Can the logs tell?",
        "How much of each policy the logs have seen",
        "Which part of the trained policy the logs have seen",
    ]
    text = re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", section.blocks[at].body))
    assert text.split("per 1,000", 1)[1].strip() == "1 November 2026 6 +1.8 [−1.0, 5.0] −0.700"


def test_a_judgement_of_before_has_none_of_them_and_the_pick_is_said_where_the_logs_cannot_tell(
    judgement: Made,
) -> None:
    section = savings.section(replace(judgement(verdict="cannot tell"), pick=CLOSE), Palette())

    assert section.lead.startswith("These logs cannot tell")
    assert section.lead.endswith(SAID)
    titles = {block.title for block in section.blocks}
    assert not titles & {
        "The trained policy, kept from day to day",
        "Which part of the trained policy the logs have seen",
    }


def test_the_method_says_what_intervals_take_together(judgement: Made, now: datetime) -> None:
    ask = Ask(None, now, now, now)
    said = [
        dict(notes(ask, found))["Policies"]
        for found in (judgement(), replace(judgement(), clusters=Clusters(by="end user", groups=1383)))
    ]

    assert said[1] == f"{said[0]} Intervals take the requests of one end user together: 1,383 groups."
