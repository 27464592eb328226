"""What a gateway may have got wrong with one class of tokens, each as the change of cost that it would make, in SQL."""

from __future__ import annotations

from typing import Final

from fairlead.ingest.plan import CLASSES

__all__ = ["BOTH", "MISTAKES", "NOTHING", "PARTS", "change", "total"]

NOTHING: Final = ""
BOTH: Final = (
    "cache reads and writes billed at the full input price"  # two mistakes: named only where one is not enough
)
# What was done to a class: billed at another class's price, left out, or billed once more.
MISTAKES: Final[dict[str, str]] = {
    "cache reads billed at the full input price": "{cache_read} * ({r.input} - {r.cache_read})",
    "cache reads not billed": "-{cache_read} * {r.cache_read}",
    "cache reads billed twice, as input too": "{cache_read} * {r.input}",
    "cache writes billed at the input price": "{cache_creation} * ({r.input} - {r.cache_creation})"
    " + {cache_creation_1h} * ({r.input} - {r.cache_creation_1h})",
    "cache writes not billed": "-({cache_creation} * {r.cache_creation} + {cache_creation_1h} * {r.cache_creation_1h})",
    "one-hour cache writes billed as five-minute ones": "{cache_creation_1h}"
    " * ({r.cache_creation} - {r.cache_creation_1h})",
    BOTH: "{cache_read} * ({r.input} - {r.cache_read})"
    " + {cache_creation} * ({r.input} - {r.cache_creation})"
    " + {cache_creation_1h} * ({r.input} - {r.cache_creation_1h})",
    "reasoning not billed": "-{reasoning} * {r.reasoning}",
    "reasoning billed twice": "{reasoning} * {r.reasoning}",
    "reasoning billed at the output price": "{reasoning} * ({r.output} - {r.reasoning})",
    "audio billed as text": "{input_audio} * ({r.input} - {r.input_audio})"
    " + {output_audio} * ({r.output} - {r.output_audio})",
    "audio not billed": "-({input_audio} * {r.input_audio} + {output_audio} * {r.output_audio})",
    "images billed as text": "{input_image} * ({r.input} - {r.input_image})"
    " + {output_image} * ({r.output} - {r.output_image})",
    "images not billed": "-({input_image} * {r.input_image} + {output_image} * {r.output_image})",
    "web searches not billed": "-{web_search} * {r.web_search}",
    "fee per request not billed": "-{request} * {r.request}",
    "output not billed": "-({output} * {r.output} + {reasoning} * {r.reasoning})",
    "input not billed": "-({input} * {r.input} + {cache_read} * {r.cache_read}"
    " + {cache_creation} * {r.cache_creation} + {cache_creation_1h} * {r.cache_creation_1h})",
}
# What may have been done to some of the tokens of a class only: the change for each of them, and how many there are.
PARTS: Final[dict[str, tuple[str, str]]] = {
    "some cache reads billed at the full input price": ("{r.input} - {r.cache_read}", "{cache_read}"),
    "some output not billed": ("-{r.output}", "{output} + {reasoning}"),
    "some input not billed": ("-{r.input}", "{input}"),
}


def total(rates: str) -> str:
    """Give the cost by the rates under that name, in 1e-15 USD."""
    return " + ".join(f"CAST(t_{name} AS HUGEINT) * coalesce({rates}.{name}, 0)" for name in CLASSES)


def change(formula: str, rates: str) -> str:
    """Give a formula of MISTAKES or PARTS as SQL over the columns of counted attempts."""
    for name in sorted(CLASSES, key=len, reverse=True):
        formula = formula.replace(f"{{r.{name}}}", f"coalesce({rates}.{name}, 0)")
        formula = formula.replace(f"{{{name}}}", f"CAST(t_{name} AS HUGEINT)")
    return f"({formula})"
