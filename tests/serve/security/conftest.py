import datetime
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from fairlead.serve.security import Folder, Guard, keys, signing
from fairlead.serve.security.keyfile import Key

NOW = datetime.datetime.now(datetime.UTC)


class House:
    """A folder with its keys, and a guard over it."""

    def __init__(self, root: Path) -> None:
        self.folder = Folder(root)
        signing.make(self.folder.signing)
        signing.make(self.folder.audit_signing)
        self._signer = signing.signer(self.folder.signing)
        self.new("first", "gateway")

    def change(self, change: Callable[..., Any]) -> Any:
        return keys.edit(self.folder.keys, self._signer, NOW, change)

    def new(self, name: str, *roles: str, **options: Any) -> tuple[Key, str]:
        return self.change(lambda kept: keys.issue(kept, name, roles, now=NOW, **options))

    def guard(self, **options: Any) -> Guard:
        return self.folder.guard(**options)


@pytest.fixture
def house(tmp_path: Path) -> House:
    return House(tmp_path / "security")


@pytest.fixture
def shows() -> Callable[..., list[tuple[bytes, bytes]]]:
    """Give the headers of a call that shows a key."""

    def headers(text: str, **more: str) -> list[tuple[bytes, bytes]]:
        named = [(name.replace("_", "-").encode(), value.encode()) for name, value in more.items()]
        return [(b"host", b"localhost"), (b"authorization", f"Bearer {text}".encode()), *named]

    return headers


@pytest.fixture(scope="session")
def lasting_guard(tmp_path_factory: pytest.TempPathFactory) -> Guard:
    """Give one guard for all examples of a property."""
    return House(tmp_path_factory.mktemp("lasting") / "security").guard()
