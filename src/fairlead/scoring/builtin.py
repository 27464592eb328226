"""What decides where no snapshot was ever published: the endpoints in the order they are named."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from fairlead.scoring.forest import Forests
from fairlead.scoring.manifest import FORMAT, Endpoint, Manifest
from fairlead.scoring.request import FEATURE_VERSION
from fairlead.scoring.snapshot import Snapshot

__all__ = ["builtin"]


def builtin(endpoints: Sequence[str]) -> Snapshot:
    """Give a snapshot of version 0 that knows nothing of its endpoints and takes the first that may be used.

    >>> builtin(["openai/gpt-4o-mini", "anthropic/claude-haiku-4-5"]).manifest.parameters
    {'weights': {'openai/gpt-4o-mini': 1.0}}
    """
    names = list(dict.fromkeys(endpoints))
    manifest = Manifest(
        format=FORMAT,
        version=0,
        created_at="",
        feature_version=FEATURE_VERSION,
        columns=[],
        categories={},
        endpoints=[Endpoint(name=name, provider_name=name.partition("/")[0], model=name) for name in names],
        heads=[],
        policy="weighted",
        parameters={"weights": {names[0]: 1.0} if names else {}},
    )
    return Snapshot(
        manifest=manifest,
        heads={},
        forests=Forests.empty(0),
        endpoint_rows=np.zeros((len(names), 0)),
        margin_edges=np.zeros(0),
        margins=np.ones((len(names), 1)),
        sha256="builtin",
    )
