"""The decision behind FastAPI and pydantic, as most would write it: what `serve_load.py` compares with."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import uvicorn
from fastapi import FastAPI
from pydantic import BaseModel, ConfigDict, Field

from fairlead import Request, Router


class Ask(BaseModel):
    """What is asked."""

    model_config = ConfigDict(extra="forbid")
    id: str | None = None
    text: str = ""
    route: str | None = None
    team: str | None = None
    tools: int | None = Field(None, ge=0)
    images: int | None = Field(None, ge=0)
    turn: int | None = Field(None, ge=0)
    input_tokens: int | None = Field(None, ge=0)
    tags: dict[str, Any] = {}
    conversation: str | None = None
    max_tokens: int | None = Field(None, ge=0)


class Answer(BaseModel):
    """What is answered."""

    id: str
    request_id: str
    endpoint: str | None
    propensity: float
    policy: str
    policy_version: str
    kind: str
    is_exploration: bool
    decided_us: float


def app(folder: str) -> FastAPI:
    """Give the application over the snapshot in a folder."""
    router, made = Router(Path(folder)), FastAPI()

    @made.post("/v1/decide")
    async def decide(ask: Ask) -> Answer:
        one = router.decide(Request(**ask.model_dump(exclude_none=True)))
        return Answer(
            id=one.id,
            request_id=one.request_id,
            endpoint=one.endpoint,
            propensity=one.propensity,
            policy=one.policy,
            policy_version=f"{one.snapshot_version}+{one.snapshot_sha256[:16]}",
            kind=one.kind,
            is_exploration=one.is_exploration,
            decided_us=one.decided_us,
        )

    return made


if __name__ == "__main__":
    uvicorn.run(
        app(sys.argv[1]), port=int(sys.argv[2]), log_level="critical", access_log=False, loop="uvloop", http="httptools"
    )
