from collections.abc import Callable

import pytest
from msgspec.structs import replace

from fairlead.evaluation.judgement import Judgement, Reading
from fairlead.evaluation.pick import Pick
from fairlead.reports import headline

Made = Callable[..., Judgement]


def test_no_judgement_says_so_and_how_to_get_one() -> None:
    found = headline.verdict(None)

    assert (found.sentence, found.tone) == ("No policy has been judged yet.", "unknown")


SAVED = "would have saved 38\u202f% [31, 44]"
COSTS_MORE = "would have cost 12\u202f% [5, 20] more"
NO_DIFFERENCE = "would have made no measurable difference to cost (−3.0\u202f%, saving [−5, 11])"
LOST = "lost 2.0 points of 100 of quality [1.0, 3.0]"


@pytest.mark.parametrize(
    ("saved", "quality", "sentence", "tone"),
    [
        ((0.38, 0.31, 0.44), (0, -0.01, 0.01), f"{SAVED}, at no measurable loss of quality.", "good"),
        ((0.38, 0.31, 0.44), (-0.02, -0.03, -0.01), f"{SAVED}, but {LOST}.", "even"),
        ((0.38, 0.31, 0.44), (0.02, 0.01, 0.03), f"{SAVED}, and {LOST.replace('lost', 'gained')}.", "good"),
        (
            (0.38, 0.31, 0.44),
            (0, -0.07, 0.07),
            f"{SAVED}, but a loss of up to 7.0 points of 100 in quality cannot be ruled out.",
            "even",
        ),
        ((0.03, -0.05, 0.11), (0, -0.01, 0.01), f"{NO_DIFFERENCE}, at no measurable loss of quality.", "even"),
        ((-0.12, -0.2, -0.05), (0, -0.01, 0.01), f"{COSTS_MORE}, at no measurable gain of quality.", "bad"),
        ((-0.12, -0.2, -0.05), (-0.02, -0.03, -0.01), f"{COSTS_MORE}, and {LOST}.", "bad"),
    ],
)
def test_a_finding_is_said_as_it_is(
    judgement: Made, saved: tuple[float, ...], quality: tuple[float, ...], sentence: str, tone: str
) -> None:
    found = headline.verdict(judgement(saved=saved, quality=quality))

    assert (found.sentence, found.tone) == (f"A routing policy trained on these logs {sentence}", tone)


def test_a_simple_rule_that_does_the_same_is_named(judgement: Made) -> None:
    found = headline.verdict(judgement(saved=(0.2, 0.16, 0.24)))

    assert found.details[1] == (
        "Of the simple rules without a measurable loss of quality, “best endpoint per category” saves most: "
        "20\u202f% [15, 25]. The trained policy saves no more than that."
    )


def test_a_cheap_rule_that_loses_quality_is_no_rival(judgement: Made) -> None:
    rival = headline.rival(judgement())

    assert rival == headline.Rival("best endpoint per category", "20\u202f% [15, 25]", False)


def test_quality_that_was_not_measured_is_not_called_kept() -> None:
    assert headline.quality_words(Reading(None)) == "; its effect on quality was not measured"
    assert headline.quality_words(Reading(0.0)) == "; its effect on quality was not measured"


def test_the_pick_is_said_with_the_names_of_the_report(judgement: Made) -> None:
    sure = Pick(policy="intelligent", why="", of_told="intelligent", proven=["intelligent"], leader="intelligent")
    close = Pick(policy=None, why="", leader="intelligent", rivals=["category_table"])

    assert headline.picked(judgement()) == ""
    assert headline.picked(replace(judgement(), pick=sure)) == (
        "By quality the judge picks “trained policy (intelligent)”: no other's quality is more than 1% better."
    )
    assert headline.picked(replace(judgement(), pick=close)) == (
        "By quality the judge cannot tell which of “trained policy (intelligent)” and “best endpoint per category” "
        "is best."
    )
