"""A snapshot of etcd, out of the control plane: for the same control plane, never for another (ADR 119).

The Secrets in it are sealed with a key that lies on the control plane's hosts and does not come along. etcd ends a
snapshot with the SHA-256 of what goes before: what was cut or changed on its way is known here.
"""

from __future__ import annotations

import hashlib
import io
from typing import TYPE_CHECKING

from appliance.cluster.backup.streams import MARK, Whole, as_file
from appliance.errors import DeploymentError
from appliance.install.process import drain

if TYPE_CHECKING:
    from typing import BinaryIO

    from typing_extensions import Buffer

    from appliance.cluster.reach import Reach

_PAGE = 512  # etcd's files consist of pages; what is left over is the digest
_SECONDS = 1800.0
# The file lies where the same is in etcd's own folder, for as long as it is read: etcdctl writes to no pipe.
_SAVE = """set -eu
umask 077
folder=$(mktemp -d /var/lib/sovereign/etcd.XXXXXX)
trap 'rm -rf "$folder"' EXIT
pki=/etc/kubernetes/pki
etcdctl --endpoints=https://127.0.0.1:2379 --cacert=$pki/etcd/ca.crt --cert=$pki/apiserver-etcd-client.crt \
  --key=$pki/apiserver-etcd-client.key snapshot save "$folder/snapshot.db" > "$folder/said" 2>&1 || {
  tail -n 3 "$folder/said" >&2; exit 1; }
cat "$folder/snapshot.db"
printf %s "$0"
"""


def snapshot(reach: Reach, sink: BinaryIO, most: int) -> None:
    """Write a snapshot of a host of the control plane, which all have the same, to ``sink``, of ``most`` bytes.

    Raises ``DeploymentError`` where there is none or it is not whole, ``RefusedError`` beyond ``most``.
    """
    checked = _Checked(sink)
    whole = Whole(as_file(checked), "the snapshot of etcd", most)
    drain(reach.on(reach.member, "sh", "-c", _SAVE, MARK), as_file(whole), env={}, timeout_s=_SECONDS)
    whole.finish()
    checked.finish()


class _Checked(io.RawIOBase):
    """Passes on what is written, and compares its last 32 bytes with the digest of the rest."""

    def __init__(self, sink: BinaryIO) -> None:
        super().__init__()
        self._sink, self._hash, self._size = sink, hashlib.sha256(), 0
        self._tail = b""

    def writable(self) -> bool:
        return True

    def write(self, data: Buffer) -> int:
        piece = bytes(data)
        held = self._tail + piece
        cut = max(0, len(held) - self._hash.digest_size)
        self._hash.update(held[:cut])
        self._tail = held[cut:]
        self._size += len(piece)
        self._sink.write(piece)
        return len(piece)

    def finish(self) -> None:
        if self._size % _PAGE != self._hash.digest_size or self._tail != self._hash.digest():
            raise DeploymentError("the snapshot of etcd is not whole", "look at etcd on the control plane; try again")
