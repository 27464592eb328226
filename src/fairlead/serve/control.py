"""The dangerous actions: which snapshot is in use. The guard has asked for a code and recorded it before they begin."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path

from msgspec import Struct, json

from fairlead.errors import GateError, SnapshotRefusedError
from fairlead.scoring import swap
from fairlead.scoring.snapshot import Snapshot
from fairlead.serve.bodies import Code, Promotion, Reason, Swapped, Token
from fairlead.serve.guard import TOKEN_S, Guard
from fairlead.serve.http import Call, Reply
from fairlead.serve.refusals import RefusedError, decoded

__all__ = ["Control"]


class Control:
    """Gives tokens for codes, and swaps the files in the folder that all workers watch."""

    def __init__(self, guard: Guard, folder: Path | None) -> None:
        self._guard, self._folder = guard, folder
        self._code, self._promotion, self._reason = json.Decoder(Code), json.Decoder(Promotion), json.Decoder(Reason)

    async def step_up(self, call: Call) -> Reply:
        """Take a one-time code, give a token."""
        asked = decoded(self._code, call.body)
        token = self._guard.step_up(call.principal, asked.action, asked.code)
        if isinstance(token, RefusedError):
            raise token
        return _json(Token(token=token, expires_in_s=TOKEN_S))

    async def promote(self, call: Call) -> Reply:
        """Let the candidate take the place of what is in use."""
        sha256 = decoded(self._promotion, call.body).sha256
        return await self._swap(call, "snapshot.promoted", lambda folder: swap.promote(folder, sha256))

    async def roll_back(self, call: Call) -> Reply:
        """Put the last good snapshot back."""
        reason = decoded(self._reason, call.body).reason
        return await self._swap(call, "snapshot.rolled_back", swap.roll_back, reason=reason)

    async def _swap(self, call: Call, event: str, change: Callable[[Path], Snapshot], **told: str) -> Reply:
        if self._folder is None:
            raise RefusedError("not_promoted", detail="this server reads no folder of snapshots")
        try:
            now = await asyncio.to_thread(change, self._folder)
        except (GateError, SnapshotRefusedError) as fault:
            self._guard.record(event, call.principal, status="failed", reason=str(fault))
            raise RefusedError("not_promoted", detail=str(fault)) from None
        self._guard.record(event, call.principal, version=now.manifest.version, sha256=now.sha256, **told)
        return _json(Swapped(version=now.manifest.version, sha256=now.sha256))


def _json(value: Struct) -> Reply:
    return Reply(body=json.encode(value))
