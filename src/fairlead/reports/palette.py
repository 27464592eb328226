"""One colour for each provider, and a shade of it for each of its endpoints, the same in every chart and table."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Final

__all__ = ["ACCENT", "INK", "MUTED", "OTHER", "RULE", "Palette"]

INK: Final = "#1f2933"
MUTED: Final = "#66717e"
RULE: Final = "#dfe3e8"
OTHER: Final = "#b4bbc4"
ACCENT: Final = "#1f5fa8"
_HUES: Final = ("#2f6db5", "#d08a2e", "#3b9184", "#8a5a9e", "#b8574d", "#7d8f3a", "#5b7083", "#c0709a")
_LIGHTER: Final = (0.0, 0.38, 0.62, 0.2, 0.5, 0.72)


@dataclass(slots=True)
class Palette:
    """Colours handed out in the order of spend, so that the largest have the strongest."""

    providers: dict[str, str] = field(default_factory=dict)
    endpoints: dict[str, str] = field(default_factory=dict)

    @classmethod
    def of(cls, spenders: Iterable[tuple[str, str]]) -> Palette:
        """Give each (endpoint, provider) a colour; past the eighth provider they share the colour of "other"."""
        palette, used = cls(), dict[str, int]()
        for endpoint, provider in spenders:
            hue = palette.providers.setdefault(
                provider, _HUES[len(palette.providers)] if len(palette.providers) < len(_HUES) else OTHER
            )
            step = used.get(provider, 0)
            used[provider] = step + 1
            palette.endpoints[endpoint] = _lighter(hue, _LIGHTER[step % len(_LIGHTER)])
        return palette

    def endpoint(self, name: str | None) -> str:
        """Give an endpoint's colour, that of "other" when it has none of its own."""
        return self.endpoints.get(name or "", OTHER)

    def provider(self, name: str | None) -> str:
        """Give a provider's colour, that of "other" when it has none of its own."""
        return self.providers.get(name or "", OTHER)


def _lighter(colour: str, by: float) -> str:
    channels = (int(colour[at : at + 2], 16) for at in (1, 3, 5))
    return "#" + "".join(f"{round(channel + (255 - channel) * by):02x}" for channel in channels)
