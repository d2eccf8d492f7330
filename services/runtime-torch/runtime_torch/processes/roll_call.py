"""Who is there: a call over a store that all nodes, or all ranks, of a run reach."""

from __future__ import annotations

from datetime import timedelta

from torch.distributed import Store, TCPStore  # pyright: ignore[reportPrivateImportUsage]  # documented there

from ..fault import Fault


def open_store(address: str, port: int, *, keeps: bool, patience_s: int) -> TCPStore:
    """The store that the first node's launcher `keeps` and all others ask. Port 0 takes any free one."""
    try:
        return TCPStore(address, port, None, keeps, timedelta(seconds=patience_s), wait_for_workers=False)
    except RuntimeError as cause:
        does = "cannot listen" if keeps else f"was not reached within {patience_s} s"
        raise Fault("collective.failed", f"Node 0 {does} at {address}:{port}.") from cause


def call_roll(store: Store, kind: str, number: int, count: int, patience_s: int) -> None:
    """
    Says that `kind` `number` (a node or a rank) is there and waits for all `count` of them.
    Raises `collective.failed` that names those who did not come.
    """
    keys = [f"here/{kind}/{other}" for other in range(count)]
    store.set(keys[number], "here")
    try:
        store.wait(keys, timedelta(seconds=patience_s))
    except RuntimeError as cause:
        raise _absent(store, kind, keys, patience_s) from cause


def _absent(store: Store, kind: str, keys: list[str], patience_s: int) -> Fault:
    try:
        missing = [str(number) for number, key in enumerate(keys) if not store.check([key])]
    except RuntimeError:
        return Fault("collective.failed", f"The first {kind} has gone while the others were waited for.")
    named = f"{kind} {missing[0]}" if len(missing) == 1 else f"{kind}s {', '.join(missing)}"
    return Fault("collective.failed", f"Of {len(keys)} {kind}s {named} did not come within {patience_s} s.")
