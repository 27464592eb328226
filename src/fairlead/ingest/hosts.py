"""Which provider answers at a host, for logs that name only where a call went.

>>> provider_and_region("api.openai.com"), provider_and_region("bedrock-runtime.eu-west-1.amazonaws.com")
(('openai', None), ('aws.bedrock', 'eu-west-1'))
>>> provider_and_region("gateway.example.com")
"""

from __future__ import annotations

import re
from typing import Final

__all__ = ["provider_and_region"]

_HOSTS: Final = {
    "api.ai21.com": "ai21",
    "api.anthropic.com": "anthropic",
    "api.cerebras.ai": "cerebras",
    "api.cohere.ai": "cohere",
    "api.cohere.com": "cohere",
    "api.deepinfra.com": "deepinfra",
    "api.deepseek.com": "deepseek",
    "api.fireworks.ai": "fireworks_ai",
    "api.groq.com": "groq",
    "api.mistral.ai": "mistral_ai",
    "api.openai.com": "openai",
    "api.perplexity.ai": "perplexity",
    "api.sambanova.ai": "sambanova",
    "api.together.ai": "together_ai",
    "api.together.xyz": "together_ai",
    "api.x.ai": "x_ai",
    "generativelanguage.googleapis.com": "gcp.gemini",
    "openrouter.ai": "openrouter",
}
_SHAPES: Final = (
    (re.compile(r"bedrock(?:-runtime|-mantle)?(?:-fips)?\.([a-z0-9-]+)\.(?:amazonaws\.com|api\.aws)"), "aws.bedrock"),
    (re.compile(r"(?:([a-z0-9-]+)-)?aiplatform\.googleapis\.com"), "gcp.vertex_ai"),
    (re.compile(r"[a-z0-9-]+()\.openai\.azure\.com"), "azure.ai.openai"),
    (re.compile(r"[a-z0-9-]+()\.(?:services\.ai|models\.ai)\.azure\.com"), "azure.ai.inference"),
)


def provider_and_region(host: str) -> tuple[str, str | None] | None:
    """Give the provider at a host and the region that its name says; None for a host that is not known."""
    name = host.lower()
    if name in _HOSTS:
        return _HOSTS[name], None
    for shape, provider in _SHAPES:
        if match := shape.fullmatch(name):
            return provider, match.group(1) or None
    return None
