"""One name for each provider and each model, however a log or a catalogue spells it.

Providers take the OpenTelemetry name where there is one (`gcp.vertex_ai`), else LiteLLM's (`together_ai`).

>>> provider("x-ai"), provider("Vertex AI"), provider("bedrock_converse")
('x_ai', 'gcp.vertex_ai', 'aws.bedrock')
>>> split("aws.bedrock", "bedrock/us.anthropic.claude-sonnet-4-5-20250929-v1:0")
('us', 'anthropic.claude-sonnet-4-5-20250929-v1:0')
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

__all__ = ["PROVIDERS", "RESIDENCY", "family", "places", "provider", "residency", "split", "undated", "variants"]

# canonical name: what else it is called, lower case, with '-' and ' ' written '_'
PROVIDERS: Final[dict[str, tuple[str, ...]]] = {
    "ai21": ("ai21_chat", "ai21_labs"),
    "anthropic": ("anthropic_text", "claude"),
    "aws.bedrock": ("bedrock", "bedrock_converse", "bedrock_mantle", "aws", "aws_bedrock", "amazon_bedrock"),
    "azure.ai.inference": ("azure_ai", "az.ai.inference", "azure_ai_inference", "azure_ai_foundry"),
    "azure.ai.openai": ("azure", "azure_text", "azure_openai", "az.ai.openai", "azure_cognitive_services"),
    "baseten": (),
    "cerebras": (),
    "cloudflare": ("cloudflare_workers_ai", "workers_ai"),
    "cohere": ("cohere_chat",),
    "dashscope": ("alibaba", "alibaba_cloud", "qwen"),
    "databricks": (),
    "deepinfra": ("deep_infra",),
    "deepseek": (),
    "fireworks_ai": ("fireworks", "fireworks_ai_embedding_models"),
    "friendliai": ("friendli",),
    "gcp.gemini": ("gemini", "google_ai_studio", "google_ai_studio_gemini", "google", "gcp.gen_ai", "google_genai"),
    "gcp.vertex_ai": ("vertex_ai", "vertex", "vertexai", "google_vertex", "google_vertex_ai", "gcp_vertex"),
    "gradient_ai": ("digitalocean",),
    "groq": (),
    "hyperbolic": (),
    "ibm.watsonx.ai": ("watsonx", "ibm_watsonx", "watsonx_text", "ibm"),
    "inception": ("text_completion_inception",),
    "lambda_ai": ("lambda",),
    "meta_llama": ("llama_api", "meta", "llama"),
    "minimax": (),
    "mistral_ai": ("mistral", "mistralai", "codestral", "text_completion_codestral"),
    "moonshot": ("moonshotai", "moonshot_ai", "kimi"),
    "nebius": ("nebius_ai_studio", "nebius_token_factory"),
    "novita": ("novita_ai",),
    "nscale": (),
    "nvidia_nim": ("nvidia",),
    "oci": ("oracle", "oci_genai"),
    "openai": ("text_completion_openai", "openai_like_openai"),
    "openrouter": (),
    "ovhcloud": ("ovh",),
    "perplexity": ("perplexity_ai",),
    "replicate": (),
    "sambanova": ("samba_nova",),
    "scaleway": (),
    "snowflake": ("snowflake_cortex",),
    "together_ai": ("together", "togetherai"),
    "volcengine": ("volcano", "bytedance"),
    "voyage": ("voyageai", "voyage_ai"),
    "wandb": ("weights_and_biases",),
    "x_ai": ("xai", "grok"),
    "zai": ("z_ai", "z.ai"),
}
# Hosts that keep data in a region, which may cost more.
RESIDENCY: Final = r"^(eu|us|au|ca|jp|in|sg|kr|gb|ae)\.api\.openai\.com$"
_CANONICAL: Final = {name: key for key, names in PROVIDERS.items() for name in (key, *names)}

_ARN: Final = re.compile(r"^arn:aws[\w-]*:bedrock:([\w-]*):\d*:[\w-]+/(.+)$")
_PATH: Final = re.compile(
    r"^(?:projects/[^/]+/locations/([^/]+)/)?(?:publishers/[^/]+/|accounts/fireworks/)?(?:models|routers)/"
)
_CLOUD_REGION: Final = re.compile(r"^[a-z]{2}(?:-[a-z]+)+-\d$")
_BEDROCK_PROFILE: Final = re.compile(r"^(us-gov|us|eu|apac|au|jp|in|ca|sa|uk|global)\.(?=[a-z0-9]+\.)")
_BEDROCK_ROUTES: Final = frozenset({"converse", "invoke", "claude_platform", "converse_like"})
_AZURE_ZONES: Final = {zone: zone for zone in ("eu", "us", "us-gov", "apac", "global")} | {"global-standard": "global"}
_BEDROCK_VERSION: Final = re.compile(r"-v\d+(?::\d+)?$")
_AZURE_35: Final = re.compile(r"^gpt-3\.?5-")
_DOTTED: Final = re.compile(r"(?<=\d)\.(?=\d)")
_DATE: Final = re.compile(r"[-@](?:20\d{2}-\d{2}-\d{2}|20\d{6})$")


def provider(name: str) -> str:
    """Give the canonical name of a provider; a provider that is not known keeps its own, in lower case."""
    key = name.strip().lower().replace("-", "_").replace(" ", "_")
    if key.startswith("vertex_ai_"):  # LiteLLM has one provider per publisher on Vertex
        return "gcp.vertex_ai"
    return _CANONICAL.get(key, key)


def split(canonical: str, model: str) -> tuple[str, str]:
    """Take a model name apart into the region it is sold in ('' when it names none) and the bare model.

    `canonical` is the provider as `provider` gives it. What is only packaging goes: the provider as a prefix,
    resource paths, ':latest'.
    """
    region, name = "", model.strip()
    if arn := _ARN.match(name):
        region, name = arn.group(1), arn.group(2)
    name = _without_provider(canonical, name)
    if path := _PATH.match(name):
        region, name = path.group(1) or region, name[path.end() :]
    name = name.removesuffix(":latest")
    if canonical == "aws.bedrock":
        return _bedrock(region, name)
    if canonical.startswith("azure.") and "/" in name:
        head, rest = name.split("/", 1)
        if head in _AZURE_ZONES:
            return _AZURE_ZONES[head], rest
    return region, name


def places(canonical: str, named: str, asked: str) -> list[tuple[str, str]]:
    """Give the regions to look for a price in, the nearest first, each with what was given up.

    `named` is the region in the model's name, `asked` the one that the request ran in. A cloud's own word for all
    regions but the global one is "regional".

    >>> places("gcp.vertex_ai", "", "europe-west1")
    [('europe-west1', ''), ('regional', ''), ('', '')]
    """
    region = named or asked
    if not region:
        return [("", "")]
    near = [(region, ""), ("regional", "")] if canonical == "gcp.vertex_ai" and region != "global" else [(region, "")]
    return [*near, ("", f"without region {named}" if named else "")]


def residency(host: str | None) -> str | None:
    """Give the region that an address keeps data in, where the price depends on it.

    >>> residency("eu.api.openai.com"), residency("api.openai.com")
    ('eu', None)
    """
    found = re.match(RESIDENCY, host or "")
    return found.group(1) if found else None


def family(canonical: str, model: str) -> str:
    """Give the name under which a bill and a log mean the same model: without packaging, version and date.

    >>> family("openai", "openai/gpt-4o-mini-2024-07-18"), family("aws.bedrock", "us.amazon.nova-lite-v1:0")
    ('gpt-4o-mini', 'amazon.nova-lite')
    """
    name = split(canonical, model)[1].lower()
    if canonical == "aws.bedrock":
        name = _BEDROCK_VERSION.sub("", name)
    name = undated(name) or name.removesuffix("@default").removesuffix("-latest")
    if canonical.startswith("azure."):
        return _AZURE_35.sub("gpt-3.5-", name)
    return _DOTTED.sub("-", name) if "claude" in name else name


def undated(model: str) -> str | None:
    """Give a model name without the date at its end; None when it has none.

    >>> undated("gpt-4o-2024-11-20"), undated("claude-3-5-haiku@20241022"), undated("gpt-4-0613")
    ('gpt-4o', 'claude-3-5-haiku', None)
    """
    bare = _DATE.sub("", model)
    return bare if bare != model else None


def variants(canonical: str, model: str) -> Iterator[tuple[str, str]]:
    """Yield the names under which a catalogue may hold `model`, nearest first, each with what was given up.

    >>> list(variants("anthropic", "claude-3-5-haiku-20241022"))[1:]
    [('claude-3-5-haiku', 'undated name'), ('claude-3-5-haiku-latest', 'undated name')]
    """
    names = [model]
    if canonical == "aws.bedrock" and (match := _BEDROCK_VERSION.search(model)):
        names.append(model[: match.start()])
    if model.endswith(("@default", "@latest")):
        names.append(model.rsplit("@", 1)[0])
    if "claude" in model and (dashed := _DOTTED.sub("-", model)) != model:
        names.append(dashed)
    if canonical.startswith("azure.") and (old := _AZURE_35.match(model)):
        names.append(("gpt-35-" if "." in old.group() else "gpt-3.5-") + model[old.end() :])
    for name in names:
        yield name, ""
    if bare := undated(names[-1]):
        if "@" in names[-1]:
            yield names[-1].replace("@", "-"), ""
        yield bare, "undated name"
        yield f"{bare}-latest", "undated name"


def _without_provider(canonical: str, name: str) -> str:
    while "/" in name:
        head, rest = name.split("/", 1)
        if not rest or provider(head) != canonical:
            break
        name = rest
    return name


def _bedrock(region: str, name: str) -> tuple[str, str]:
    *path, name = name.split("/")
    for part in path:
        if _CLOUD_REGION.match(part):
            region = part
        elif part not in _BEDROCK_ROUTES:  # a model of another house, or a commitment: not ours to shorten
            name = f"{part}/{name}"
    if profile := _BEDROCK_PROFILE.match(name):
        return profile.group(1), name[profile.end() :]
    return region, name
