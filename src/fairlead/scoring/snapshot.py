"""The published file: read, check, refuse.

One safetensors file: arrays only, never code. Its metadata holds the manifest and the SHA-256 of manifest and arrays
together. Whatever is wrong with it, the answer is SnapshotRefusedError and nothing else, so that a router can keep
the last good one.
"""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any, Final

import msgspec
import numpy as np
from msgspec import Struct
from safetensors import SafetensorError
from safetensors.numpy import load as _load
from safetensors.numpy import save as _save

from fairlead.errors import SnapshotRefusedError, UsageError
from fairlead.scoring import whole
from fairlead.scoring.budget import hourly
from fairlead.scoring.checks import check
from fairlead.scoring.forest import FIELDS, Forests
from fairlead.scoring.manifest import FORMAT, HeadSpec, Manifest
from fairlead.scoring.parts import PARTS, Parts, from_arrays, to_arrays
from fairlead.scoring.request import FEATURE_VERSION
from fairlead.scoring.table import CategoryTable

__all__ = ["CANDIDATE", "CURRENT", "LAST_GOOD", "Head", "Snapshot", "open_published"]

CURRENT: Final = "snapshot.safetensors"
CANDIDATE: Final = "snapshot.candidate.safetensors"  # laid beside, for the judge and the shadow
LAST_GOOD: Final = "snapshot.last-good.safetensors"
MAX_BYTES: Final = 64 * 1024 * 1024

Arrays = dict[str, np.ndarray[Any, Any]]


class Head(Struct, frozen=True, kw_only=True):
    """One predicted number's arrays for K endpoints.

    `table` (routes + 1, K) and the forest's `offset` (K,) are in link space; `scale` (2, K) turns medians into means,
    for the table alone and for the forest. The forest itself lies in the snapshot's `forests`.
    """

    spec: HeadSpec
    table: CategoryTable
    offset: np.ndarray[Any, Any]
    scale: np.ndarray[Any, Any]


class Snapshot(Struct, frozen=True, kw_only=True):
    """Everything a decision needs, as it was published.

    `endpoint_rows` (K, columns) holds the endpoint's own and state columns, NaN elsewhere. `margin_edges` (B,) and
    `margins` (K, B + 1) turn a predicted quality into its lower bound. `forests` holds the trees of the heads named in
    `forest_heads`, in that order. `reference` (columns,) is the typical request that explanations compare with, NaN in
    columns that are no request's; None in a snapshot without one.
    """

    manifest: Manifest
    heads: dict[str, Head]
    forests: Forests
    endpoint_rows: np.ndarray[Any, Any]
    margin_edges: np.ndarray[Any, Any]
    margins: np.ndarray[Any, Any]
    reference: np.ndarray[Any, Any] | None = None
    sha256: str = ""
    parts: Parts = PARTS

    @property
    def endpoints(self) -> tuple[str, ...]:
        """Names of the endpoints, in the order of every array's endpoint axis."""
        return tuple(endpoint.name for endpoint in self.manifest.endpoints)

    @property
    def forest_heads(self) -> tuple[str, ...]:
        """Names of the heads that a forest serves, in the order of `forests`."""
        return tuple(name for name, head in self.heads.items() if head.spec.serve == "forest")

    def to_bytes(self) -> bytes:
        """Give the file's bytes; the same snapshot gives the same bytes."""
        arrays = _arrays(self)
        manifest = msgspec.json.encode(self.manifest).decode()
        # One key: safetensors writes several in no fixed order, and equal snapshots would differ in their bytes.
        return bytes(_save(arrays, {"fairlead": _digest(manifest, arrays) + manifest}))

    def write(self, path: Path) -> None:
        """Write the file so that a reader sees the old one or the new one, never a part."""
        path.parent.mkdir(parents=True, exist_ok=True)
        whole.write(path, self.to_bytes())

    @classmethod
    def from_bytes(cls, data: bytes, name: str = "snapshot") -> Snapshot:
        """Read and check a snapshot; SnapshotRefusedError says what is wrong with it."""
        if len(data) > MAX_BYTES:
            raise SnapshotRefusedError(f"{name}: {len(data):,} bytes, more than the {MAX_BYTES:,} that are read")
        try:
            arrays, sealed = _load(data), _sealed(data)
            declared, text = sealed[:64], sealed[64:]
            if _digest(text, arrays) != declared:
                raise SnapshotRefusedError(f"{name}: its content does not match its SHA-256; publish it again")
            manifest = msgspec.json.decode(text, type=Manifest)
            return _build(manifest, arrays, declared, name)
        except SnapshotRefusedError:
            raise
        except (SafetensorError, msgspec.MsgspecError, ValueError, KeyError, TypeError, IndexError) as fault:
            raise SnapshotRefusedError(
                f"{name}: not a fairlead snapshot ({_brief(fault)}); publish it again"
            ) from fault

    @classmethod
    def read(cls, path: Path) -> Snapshot:
        """Read and check the snapshot at `path`; SnapshotRefusedError says what is wrong with it."""
        try:
            if path.stat().st_size > MAX_BYTES:
                raise SnapshotRefusedError(f"{path}: more than the {MAX_BYTES:,} bytes that are read")
            data = path.read_bytes()
        except OSError as fault:
            raise SnapshotRefusedError(f"{path}: cannot be read ({fault.strerror}); run `fairlead publish`") from fault
        return cls.from_bytes(data, str(path))


def open_published(folder: Path) -> tuple[Snapshot, str | None]:
    """Open the published snapshot, or the last good one and the reason why the current one was refused."""
    try:
        return Snapshot.read(folder / CURRENT), None
    except SnapshotRefusedError as refusal:
        try:
            return Snapshot.read(folder / LAST_GOOD), str(refusal)
        except SnapshotRefusedError:
            raise refusal from None


def _sealed(data: bytes) -> str:
    """Give the SHA-256 in hex and, behind it, the manifest."""
    length = int.from_bytes(data[:8], "little")
    sealed: str = msgspec.json.decode(data[8 : 8 + length])["__metadata__"]["fairlead"]
    return sealed


def _digest(manifest: str, arrays: Arrays) -> str:
    digest = hashlib.sha256(manifest.encode())
    for name in sorted(arrays):
        array = np.ascontiguousarray(arrays[name])
        digest.update(f"\x00{name}\x00{array.dtype.str}\x00{array.shape}\x00".encode())
        digest.update(array.data)
    return digest.hexdigest()


def _arrays(snapshot: Snapshot) -> Arrays:
    arrays: Arrays = {
        "endpoint_rows": snapshot.endpoint_rows.astype(np.float64),
        "margin_edges": snapshot.margin_edges.astype(np.float64),
        "margins": snapshot.margins.astype(np.float64),
    }
    if snapshot.reference is not None:
        arrays["reference"] = snapshot.reference.astype(np.float64)
    for name, head in snapshot.heads.items():
        arrays[f"{name}.table"] = head.table.values.astype(np.float64)
        arrays[f"{name}.offset"] = head.offset.astype(np.float64)
        arrays[f"{name}.scale"] = head.scale.astype(np.float64)
    arrays.update({f"forest.{part}": getattr(snapshot.forests, part) for part in FIELDS})
    arrays |= to_arrays(snapshot.parts)
    return {name: np.ascontiguousarray(array) for name, array in arrays.items()}


def _build(manifest: Manifest, arrays: Arrays, sha256: str, name: str) -> Snapshot:
    if manifest.format != FORMAT:
        way = "update fairlead" if manifest.format > FORMAT else "run `fairlead publish` to write it again"
        raise SnapshotRefusedError(f"{name}: format {manifest.format}, this fairlead reads {FORMAT}; {way}")
    if manifest.feature_version != FEATURE_VERSION:
        raise SnapshotRefusedError(
            f"{name}: request features of version {manifest.feature_version}, "
            f"this fairlead takes {FEATURE_VERSION}; train and publish with this version"
        )
    if manifest.demand:
        try:
            hourly(manifest.demand)
        except UsageError as fault:
            raise SnapshotRefusedError(f"{name}: {fault}; publish it again") from fault
    endpoints, columns = len(manifest.endpoints), len(manifest.columns)
    edges = _expect(arrays, "margin_edges", (arrays["margin_edges"].size,), name)
    heads = {spec.name: _head(spec, manifest, arrays, name) for spec in manifest.heads}
    if len(heads) != len(manifest.heads):
        raise SnapshotRefusedError(f"{name}: two heads of one name; publish it again")
    forests = Forests(**{part: arrays[f"forest.{part}"] for part in FIELDS})
    check(forests, sum(spec.serve == "forest" for spec in manifest.heads), columns)
    return Snapshot(
        manifest=manifest,
        heads=heads,
        forests=forests,
        endpoint_rows=_expect(arrays, "endpoint_rows", (endpoints, columns), name),
        margin_edges=edges,
        margins=_expect(arrays, "margins", (endpoints, len(edges) + 1), name),
        reference=_expect(arrays, "reference", (columns,), name) if "reference" in arrays else None,
        sha256=sha256,
        parts=from_arrays(arrays, endpoints, columns, name, len(manifest.categories.get("route", []))),
    )


def _head(spec: HeadSpec, manifest: Manifest, arrays: Arrays, name: str) -> Head:
    endpoints = len(manifest.endpoints)
    routes = len(manifest.categories.get("route", [])) + 1
    return Head(
        spec=spec,
        table=CategoryTable(values=_expect(arrays, f"{spec.name}.table", (routes, endpoints), name)),
        offset=_expect(arrays, f"{spec.name}.offset", (endpoints,), name),
        scale=_expect(arrays, f"{spec.name}.scale", (2, endpoints), name),
    )


def _expect(arrays: Arrays, key: str, shape: tuple[int, ...], name: str) -> np.ndarray[Any, Any]:
    array = arrays[key]
    if array.shape != shape:
        raise SnapshotRefusedError(f"{name}: {key} is {array.shape}, expected {shape}; publish it again")
    return array


def _brief(fault: BaseException) -> str:
    return f"{type(fault).__name__}: {fault}"[:200]
