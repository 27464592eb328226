"""The folder that holds a server's keys: which file is what, and a guard made of them."""

from __future__ import annotations

import datetime
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

from fairlead.errors import SecurityError, UsageError
from fairlead.serve.exchange import BUDGET_S, connect
from fairlead.serve.security import keys, signing
from fairlead.serve.security.audit import Audit
from fairlead.serve.security.guard import KeyGuard
from fairlead.serve.security.keyfile import Key, Keys
from fairlead.serve.security.keyring import Keyring
from fairlead.serve.security.limits import Limits
from fairlead.serve.security.peers import Fronts
from fairlead.serve.security.sealed import Seal
from fairlead.serve.security.stepup import StepUp

__all__ = ["Folder"]


@dataclass(frozen=True, slots=True)
class Folder:
    """Where things lie. A server needs `keys`, `public` and what it writes; `signing` may stay on another machine."""

    root: Path

    @property
    def keys(self) -> Path:
        """The signed file of keys."""
        return self.root / "keys.json"

    @property
    def signing(self) -> Path:
        """What signs the file of keys."""
        return self.root / "signing.key"

    @property
    def public(self) -> Path:
        """What verifies the file of keys: the public half, or the shared key where there is no pair."""
        public = self.root / "signing.pub"
        return public if public.exists() else self.signing

    @property
    def audit(self) -> Path:
        """The audit log."""
        return self.root / "audit.jsonl"

    @property
    def audit_signing(self) -> Path:
        """What signs the audit log's checkpoints."""
        return self.root / "audit.key"

    @property
    def audit_public(self) -> Path:
        """What verifies them."""
        public = self.root / "audit.pub"
        return public if public.exists() else self.audit_signing

    @property
    def sealing(self) -> Path:
        """What kept secrets are closed under, unless FAIRLEAD_SEALING_KEY is set."""
        return self.root / "sealing.key"

    @property
    def authenticators(self) -> Path:
        """The authenticators of keys, sealed."""
        return self.root / "stepup.json"

    @property
    def uses(self) -> Path:
        """What is known of keys' use."""
        return self.root / "uses.json"

    def change(
        self,
        event: str,
        actor: str,
        now: datetime.datetime,
        change: Callable[[Keys], tuple[Keys, tuple[Key, str]]],
    ) -> tuple[Key, str]:
        """Change the file of keys, recorded before it is done: what cannot be recorded is not done."""
        if not self.signing.exists():
            raise SecurityError(f"{self.signing}: what signs the file of keys is not here; do this where it is")
        log = self.log()

        def recorded(kept: Keys) -> tuple[Keys, tuple[Key, str]]:
            content, (key, text) = change(kept)
            log.add(event, actor, key_id=key.id, name=key.name, roles=key.roles, sequence=content.sequence)
            return content, (key, text)

        return keys.edit(self.keys, signing.signer(self.signing), now, recorded)

    def log(self) -> Audit:
        """Open the audit log, with its signing key where there is one."""
        key = self.audit_signing
        return Audit(self.audit, signing.signer(key) if key.exists() else None)

    def step_up(self, *, make: bool = False) -> StepUp:
        """Open the authenticators."""
        return StepUp(self.authenticators, Seal.of(self.sealing, make=make))

    def guard(
        self, *, workers: Callable[[], int] = lambda: 1, redis: str | None = None, fronts: Iterable[str] = ()
    ) -> KeyGuard:
        """Give the guard of a server; SecurityError where keys cannot be trusted: then it must not start."""
        if not self.keys.exists():
            raise SecurityError(f"{self.keys}: no keys yet; make one with `fairlead keys new NAME --role gateway`")
        client = None if redis is None else connect(redis, BUDGET_S)
        try:
            step_up = self.step_up(make=True)
        except UsageError:  # without cryptography nobody can enrol, and dangerous actions stay refused
            step_up = None
        return KeyGuard(
            Keyring(self.keys, signing.verifier(self.public)),
            limits=Limits(workers=workers, client=client),
            audit=self.log(),
            step_up=step_up,
            fronts=Fronts(fronts),
            known=self.uses,
        )
