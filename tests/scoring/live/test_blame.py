import pytest

from fairlead.schema import ERROR_CLASSES
from fairlead.scoring import Outcome
from fairlead.scoring.live.blame import blame


def test_each_class_of_error_has_somebody_to_blame():
    found = {name: blame(Outcome(endpoint="a", status="error", error_class=name)) for name in ERROR_CLASSES}

    assert found == {
        "rate_limit": "limited",
        "timeout": "failure",
        "server": "failure",
        "auth": "failure",
        "invalid_request": "none",
        "context_length": "none",
        "content_filter": "none",
        "budget": "failure",  # the provider's bill is not paid: it fails for everybody
        "network": "failure",
        "cancelled": "none",
        "other": "failure",
    }


@pytest.mark.parametrize(("status", "expected"), [("ok", "success"), ("cancelled", "none"), ("blocked", "none")])
def test_the_status_says_it_where_there_is_no_error(status, expected):
    assert blame(Outcome(endpoint="a", status=status, error_class="budget")) == expected


def test_an_error_without_a_known_class_is_the_endpoints():
    assert blame(Outcome(endpoint="a", status="error")) == "failure"
    assert blame(Outcome(endpoint="a", status="error", error_class="unheard of")) == "failure"
