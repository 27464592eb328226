"""The spellings of LiteLLM, OpenTelemetry, models.dev, genai-prices, Bedrock, Vertex and Azure meet in one price."""

from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path

import pytest

from fairlead.ingest import aliases, prices
from fairlead.ingest.prices import PriceBook

SHIPPED = Path(__file__).parents[2] / "data" / "prices.csv"
NOW = datetime(2026, 11, 23, tzinfo=UTC)
UNPRICED = {"nvidia_nim"}  # lists no price: its models are free to try, and run on one's own machines


@pytest.fixture(scope="module")
def shipped() -> PriceBook:
    return prices.read(SHIPPED)


def test_every_provider_we_name_has_prices(shipped: PriceBook) -> None:
    priced = {row.provider_name for row in shipped.layers[0]}

    assert set(aliases.PROVIDERS) - priced == UNPRICED
    for provider in sorted(priced):
        row = next(row for row in shipped.layers[0] if row.provider_name == provider and row.input is not None)
        for spelled in (provider, *aliases.PROVIDERS[provider]):
            found = shipped.lookup(spelled, row.model, NOW, region=row.region or None)
            assert found is not None, (spelled, row.model)


ARN = "arn:aws:bedrock:us-east-1:123456789012:inference-profile/"
MEETING = {
    "claude-sonnet-4-5 at Anthropic": [
        ("anthropic", "claude-sonnet-4-5"), ("anthropic", "anthropic/claude-sonnet-4-5"),
        ("Anthropic", "claude-sonnet-4.5"),
        ("anthropic", "claude-sonnet-4-5-20250929"), ("litellm_proxy", "anthropic/claude-sonnet-4-5"),
    ],
    "claude-sonnet-4-5 on Bedrock in the US": [
        ("bedrock", "us.anthropic.claude-sonnet-4-5-20250929-v1:0"),
        ("aws.bedrock", "bedrock/converse/us.anthropic.claude-sonnet-4-5-20250929-v1:0"),
        ("amazon-bedrock", "us.anthropic.claude-sonnet-4-5-20250929"),
        ("aws", f"{ARN}us.anthropic.claude-sonnet-4-5-20250929-v1:0"),
    ],
    "claude-sonnet-4-5 on Vertex in a region": [
        ("vertex_ai", "projects/p/locations/us-east5/publishers/anthropic/models/claude-sonnet-4-5@20250929"),
    ],
    "gemini-2.5-pro on Vertex": [
        ("vertex_ai", "gemini-2.5-pro"), ("gcp.vertex_ai", "vertex_ai/gemini-2.5-pro"),
        ("google-vertex", "gemini-2.5-pro"),
        ("vertex_ai-language-models", "publishers/google/models/gemini-2.5-pro"),
    ],
    "gemini-2.5-pro at AI Studio": [
        ("gemini", "gemini-2.5-pro"), ("google", "models/gemini-2.5-pro"), ("gcp.gen_ai", "gemini/gemini-2.5-pro"),
    ],
    "gpt-4o-mini": [
        ("openai", "gpt-4o-mini"), ("openai", "openai/gpt-4o-mini"), ("OpenAI", "gpt-4o-mini-2024-07-18"),
    ],
    "gpt-3.5 on Azure": [
        ("azure", "azure/gpt-35-turbo"), ("azure.ai.openai", "gpt-35-turbo"), ("az.ai.openai", "gpt-35-turbo"),
    ],
    "gpt-4o in an Azure zone": [
        ("azure", "azure/eu/gpt-4o-2024-08-06"), ("azure_openai", "eu/gpt-4o-2024-08-06"),
    ],
    "grok": [("xai", "grok-4"), ("x-ai", "xai/grok-4"), ("x_ai", "x-ai/grok-4")],
}  # fmt: skip


@pytest.mark.parametrize("what", MEETING)
def test_spellings_meet(shipped: PriceBook, what: str) -> None:
    found = [shipped.lookup(provider, model, NOW) for provider, model in MEETING[what]]

    assert None not in found
    assert len({(rates.input, rates.output, rates.cache_read) for rates in found}) == 1


def test_a_resource_path_names_its_region(shipped: PriceBook) -> None:
    path = "projects/p/locations/{}/publishers/anthropic/models/claude-sonnet-4-5@20250929"

    found = [shipped.lookup("vertex_ai", path.format(place), NOW).input for place in ("global", "europe-west1", "us")]

    assert found == [Decimal("3e-6"), Decimal("3.3e-6"), Decimal("3.3e-6")]


@pytest.mark.parametrize(
    ("provider", "names"),
    [("openai", ["gpt-4o-mini", "gpt-4o-mini-2024-07-18", "openai/GPT-4o-mini"]),
     ("anthropic", ["claude-sonnet-4-5-20250929", "claude-sonnet-4.5", "claude-sonnet-4-5-latest"]),
     ("aws.bedrock", ["us.amazon.nova-lite-v1:0", "amazon.nova-lite", "bedrock/amazon.nova-lite-v1:0"]),
     ("gcp.vertex_ai", ["claude-haiku-4-5@20251001", "vertex_ai/claude-haiku-4-5", "claude-haiku-4-5@default"]),
     ("azure.ai.openai", ["azure/gpt-35-turbo", "gpt-3.5-turbo"]),
     ("openrouter", ["openai/gpt-4.1-2025-04-14", "openrouter/openai/gpt-4.1"])],
)  # fmt: skip
def test_a_bill_and_a_log_call_a_model_the_same(provider: str, names: list[str]) -> None:
    assert len({aliases.family(provider, name) for name in names}) == 1


def test_two_models_are_not_one_family() -> None:
    assert aliases.family("openai", "gpt-4o") != aliases.family("openai", "gpt-4o-mini")
    assert aliases.family("openai", "gpt-4-0613") == "gpt-4-0613"
