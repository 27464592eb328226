"""What a snapshot says of its endpoints: prices, limits, capabilities, region, and whose word holds."""

import datetime
from decimal import Decimal
from types import SimpleNamespace

import pytest

from fairlead import project
from fairlead.errors import UsageError
from fairlead.ingest import prices
from fairlead.ingest.modelfile import ModelBook, ModelRow
from fairlead.ingest.pricefile import PriceRow
from fairlead.publish import EndpointSettings, endpoints_in, endpoints_of, regions_of, settings_of
from fairlead.scoring.manifest import Endpoint

NOON = datetime.datetime(2026, 1, 1, 12, tzinfo=datetime.UTC)
TRAINED = SimpleNamespace(
    endpoints=["fast", "own"],
    providers=["openai", "my_host"],
    models=["gpt-4o", "llama"],
    trained_until=NOON.timestamp(),
)
BOOK = prices.PriceBook(
    [
        [
            PriceRow(provider_name="openai", model="gpt-4o", region=region, input=Decimal(dollars), output=Decimal(8),
                     cache_read=Decimal(1), catalog="list")
            for region, dollars in (("", 2), ("eu", 3))
        ]
    ]
)  # fmt: skip
MODELS = ModelBook(
    [
        ModelRow(provider_name="openai", model="gpt-4o", context_window=128_000, max_output_tokens=16_384,
                 capabilities=("tools", "vision"))
    ]
)  # fmt: skip
LISTED = Endpoint(
    name="fast",
    provider_name="openai",
    model="gpt-4o",
    input_usd=2e-6,
    output_usd=8e-6,
    cache_read_usd=1e-6,
    price_source="list",
    context_window=128_000,
    max_output_tokens=16_384,
    capabilities=["tools", "vision"],
)
OWN = Endpoint(name="own", provider_name="my_host", model="llama")


def here(folder, text):
    made = project.init(folder)
    with (folder / "pyproject.toml").open("a") as out:
        out.write(text)
    return project.open_project(made.root)


def test_an_endpoint_has_the_catalogues_limits_and_the_price_of_what_is_cached():
    assert endpoints_of(TRAINED, BOOK, models=MODELS) == [LISTED, OWN]


def test_the_region_of_its_attempts_gives_its_price():
    found = endpoints_of(TRAINED, BOOK, models=MODELS, regions={"fast": "eu"})

    assert (found[0].region, found[0].input_usd, found[1]) == ("eu", 3e-6, OWN)


def test_a_region_in_the_models_name_is_its_region():
    trained = SimpleNamespace(
        endpoints=["b"],
        providers=["bedrock"],
        models=["eu.anthropic.claude-haiku-4-5-20251001-v1:0"],
        trained_until=0.0,
    )

    assert endpoints_of(trained, BOOK)[0].region == "eu"


def test_what_the_project_says_holds_against_logs_and_catalogue():
    settings = {"fast": EndpointSettings(region="eu", capabilities=()), "own": EndpointSettings(context_window=8192)}

    found = endpoints_of(TRAINED, BOOK, models=MODELS, regions={"fast": "us"}, settings=settings)

    assert (found[0].region, found[0].capabilities, found[0].context_window) == ("eu", [], 128_000)
    assert (found[1].capabilities, found[1].context_window) == (None, 8192)


def test_settings_of_an_endpoint_that_is_not_there_are_refused():
    with pytest.raises(UsageError, match=r"endpoints\.'slow'\]: no such endpoint in the logs; there are fast, own"):
        endpoints_of(TRAINED, BOOK, settings={"slow": EndpointSettings()})


def test_settings_are_read_from_the_project(tmp_path):
    made = here(
        tmp_path / "here",
        '[tool.fairlead.endpoints."openai/gpt-4o"]\nregion = "eu"\ncapabilities = ["vision", "tools"]\n'
        "max_output_tokens = 4096\n",
    )

    assert settings_of(made) == {
        "openai/gpt-4o": EndpointSettings(region="eu", capabilities=("tools", "vision"), max_output_tokens=4096)
    }


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        (
            "[tool.fairlead.endpoints.a]\nregoin = 'eu'",
            r"endpoints\.'a'\]: unknown key 'regoin'; known are region, cap",
        ),
        ("[tool.fairlead.endpoints.a]\ncapabilities = ['sight']", r"capabilities: unknown 'sight'; known are audio"),
        ("[tool.fairlead.endpoints.a]\ncapabilities = 'tools'", r"Expected `array \| null`, got `str`"),
        ("[tool.fairlead.endpoints.a]\ncontext_window = 0", r"context_window: expected a number of tokens from 1 up"),
        ("[tool.fairlead.endpoints.a]\ncontext_window = 1.5", r"Expected `int \| null`, got `float`"),
        ("[tool.fairlead.endpoints.a]\nregion = ' '", r"region: expected the name of a region"),
        ("[tool.fairlead.endpoints]\na = 1", r"endpoints\.'a'\]: expected a table of region, capabilities"),
    ],
)
def test_a_setting_that_cannot_be_meant_is_named(tmp_path, text, fault):
    made = here(tmp_path / "here", text + "\n")

    with pytest.raises(UsageError, match=fault):
        settings_of(made)


def test_a_published_projects_endpoints_have_what_is_known_of_them(trained):
    made, _ = trained
    from fairlead.training.champions import champion_of
    from fairlead.training.registry import Registry

    predictor = champion_of(Registry(made.registry), "quality").predictor

    assert [end.name for end in endpoints_in(made, predictor)] == predictor.endpoints
    assert set(regions_of(made)) <= set(predictor.endpoints)
