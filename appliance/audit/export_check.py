"""Check an export of an audit log: python3 verify.py --vkeys FILE [--kept FILE] [FOLDER].

Needs Python 3.9 and nothing else. Trusts the verifier keys in FILE, which came to you another way, and nothing in
FOLDER. Exits with 0 only when both of the log's signatures hold (Ed25519 and ML-DSA-44), every entry stands at its
place in the signed tree, and the tree extends the checkpoint that you kept; else with 6. It is short, so that you can
read it. Followed: RFC 8032, FIPS 204, RFC 6962, C2SP signed-note, tlog-checkpoint and tlog-cosignature."""

from __future__ import annotations

import argparse
import base64
import hashlib
import json
import sys
from collections.abc import Iterator, Sequence
from datetime import datetime, timezone
from operator import mul
from pathlib import Path

P, ORDER = 2**255 - 19, 2**252 + 27742317777372353535851937790883648493  # Ed25519: field and group order
D = -121665 * pow(121666, -1, P) % P
Q, GAMMA1, GAMMA2 = 8380417, 2**17, 95232  # ML-DSA-44
ROOTS = [pow(1753, int(f"{i:08b}"[::-1], 2) * 2 + 1, Q) for i in range(256)]
POWERS = [[pow(root, n, Q) for n in range(256)] for root in ROOTS]
INVERSE = [[pow(root, 512 - n, Q) * 8347681 % Q for root in ROOTS] for n in range(256)]  # 8347681 * 256 = 1 mod Q
Point = tuple[int, int, int, int]
Key = tuple[str, bytes, int, bytes]  # whose, key id, kind (1 or 6), key


def curve_point(data: bytes) -> Point:
    y, odd = int.from_bytes(data, "little") & (1 << 255) - 1, data[31] >> 7
    square = (y * y - 1) * pow(D * y * y + 1, -1, P) % P
    x = pow(square, (P + 3) // 8, P)
    x = x if x * x % P == square else x * pow(2, (P - 1) // 4, P) % P
    if y >= P or x * x % P != square or (x == 0 and odd):
        raise ValueError("an Ed25519 key is no point of the curve")
    x = x if x & 1 == odd else P - x
    return x, y, 1, x * y % P


def add(one: Point, two: Point) -> Point:
    a, b = (one[1] - one[0]) * (two[1] - two[0]), (one[1] + one[0]) * (two[1] + two[0])
    c, d = 2 * one[3] * two[3] * D, 2 * one[2] * two[2]
    e, f, g, h = b - a, d - c, d + c, b + a
    return e * f % P, g * h % P, f * g % P, e * h % P


def times(number: int, point: Point) -> Point:
    total = (0, 1, 1, 0)
    for bit in f"{number:b}":
        total = add(total, total)
        total = add(total, point) if bit == "1" else total
    return total


def ed25519_holds(key: bytes, message: bytes, signature: bytes) -> bool:
    x, y, z, t = curve_point(key)
    s = int.from_bytes(signature[32:], "little")
    h = int.from_bytes(hashlib.sha512(signature[:32] + key + message).digest(), "little") % ORDER
    base = curve_point(b"\x58" + b"\x66" * 31)
    rx, ry, rz, _ = add(times(s, base), times(h, (P - x, y, z, P - t)))
    rx, ry = rx * pow(rz, -1, P) % P, ry * pow(rz, -1, P) % P
    return len(signature) == 64 and s < ORDER and (ry | (rx & 1) << 255).to_bytes(32, "little") == signature[:32]


def bits(data: bytes, width: int) -> list[int]:
    number = int.from_bytes(data, "little")
    return [number >> i & (1 << width) - 1 for i in range(0, 8 * len(data), width)]


def transform(matrix: list[list[int]], poly: Sequence[int]) -> list[int]:
    return [sum(map(mul, row, poly)) % Q for row in matrix]


def challenge(seed: bytes) -> list[int]:
    stream = iter(hashlib.shake_256(seed).digest(2048))
    signs, c = int.from_bytes(bytes(next(stream) for _ in range(8)), "little"), [0] * 256
    for turn, i in enumerate(range(256 - 39, 256)):
        j = next(n for n in stream if n <= i)
        c[i], c[j] = c[j], 1 - 2 * (signs >> turn & 1)
    return c


def hints(data: bytes) -> list[set[int]]:
    rows: list[set[int]] = []
    for at, end in zip([0, *data[80:]], data[80:]):
        row = list(data[at:end])
        if not at <= end <= 80 or row != sorted(set(row)):
            raise ValueError("an ML-DSA-44 signature is malformed")
        rows.append(set(row))
    return rows if not any(data[data[-1] : 80]) else []


def high_bits(r: int, hint: bool) -> int:
    low = r % (2 * GAMMA2)
    low = low - 2 * GAMMA2 if low > GAMMA2 else low
    high, low = (0, low - 1) if r - low == Q - 1 else ((r - low) // (2 * GAMMA2), low)
    return (high + hint * (1 if low > 0 else -1)) % 44


def ml_dsa_44_holds(key: bytes, message: bytes, signature: bytes) -> bool:
    if (len(key), len(signature)) != (1312, 2420):
        return False
    seed, rows = signature[:32], hints(signature[2336:])
    z = [[GAMMA1 - v for v in bits(signature[32 + 576 * i : 608 + 576 * i], 18)] for i in range(4)]
    if not rows or max(abs(v) for poly in z for v in poly) >= GAMMA1 - 78:
        return False
    mu = hashlib.shake_256(hashlib.shake_256(key).digest(64) + b"\0\0" + message).digest(64)
    c, zs, packed = transform(POWERS, challenge(seed)), [transform(POWERS, poly) for poly in z], 0
    for r in range(4):
        t1 = transform(POWERS, [v << 13 for v in bits(key[32 + 320 * r : 352 + 320 * r], 10)])
        streams = [bits(hashlib.shake_128(key[:32] + bytes([s, r])).digest(1344), 24) for s in range(4)]
        a = [[n & 0x7FFFFF for n in stream if n & 0x7FFFFF < Q] for stream in streams]
        w = transform(INVERSE, [sum(a[s][n] * zs[s][n] for s in range(4)) - c[n] * t1[n] for n in range(256)])
        packed |= sum(high_bits(v, n in rows[r]) << 6 * n for n, v in enumerate(w)) << 1536 * r
    return hashlib.shake_256(mu + packed.to_bytes(768, "little")).digest(32) == seed


def node(left: bytes, right: bytes) -> bytes:
    return hashlib.sha256(b"\1" + left + right).digest()


def root_of(low: int, high: int, first: int, leaves: list[bytes], others: Iterator[bytes]) -> bytes:
    if high <= first or low >= first + len(leaves):
        return next(others)
    if high - low == 1:
        return leaves[low - first]
    middle = low + (1 << (high - low - 1).bit_length() - 1)
    return node(root_of(low, middle, first, leaves, others), root_of(middle, high, first, leaves, others))


def roots_of(old: int, new: int, known: bytes, others: Iterator[bytes]) -> tuple[bytes, bytes]:
    if old == new:
        found = known or next(others)
        return found, found
    split = 1 << (new - 1).bit_length() - 1
    if old <= split:
        before, after = roots_of(old, split, known, others)
        return before, node(after, next(others))
    before, after = roots_of(old - split, new - split, b"", others)
    side = next(others)
    return node(side, before), node(side, after)


def opened(note: str, keys: list[Key]) -> tuple[str, int, bytes, int]:
    text, _, lines = note.rpartition("\n\n")
    origin, number, encoded = text.split("\n")[:3]
    name, root, held = bytes([len(origin.encode())]) + origin.encode(), base64.b64decode(encoded), {}
    for line in lines.splitlines():
        signer, blob = line.split(" ")[1], base64.b64decode(line.split(" ")[2])
        for kind, key in [(kind, key) for owner, key_id, kind, key in keys if (owner, key_id) == (signer, blob[:4])]:
            tree = name + bytes(8) + int(number).to_bytes(8, "big") + root
            holds = ed25519_holds(key, f"{text}\n".encode(), blob[4:]) if kind == 1 else False
            if kind == 6:
                holds = ml_dsa_44_holds(key, b"subtree/v1\n\0" + name + blob[4:12] + tree, blob[12:])
            if signer != origin or not holds:
                raise ValueError(f"a signature of {signer} does not hold")
            held[kind] = int.from_bytes(blob[4:12], "big")
    if set(held) != {1, 6}:
        raise ValueError("the checkpoint is not signed by both keys of the log")
    return origin, int(number), root, held[6]


def check(folder: Path, keys: list[Key], kept: str) -> str:
    origin, size, root, time = opened((folder / "checkpoint").read_text("utf-8"), keys)
    proof = json.loads((folder / "proof.json").read_text("ascii"))
    *entries, rest = (folder / "entries.jsonl").read_bytes().split(b"\n")
    first, others = proof["first"], (base64.b64decode(one) for one in proof["hashes"])
    leaves = [hashlib.sha256(b"\0" + entry).digest() for entry in entries]
    fits = not rest and leaves and 0 <= first <= size - len(leaves)
    if not fits or root_of(0, size, first, leaves, others) != root:
        raise ValueError("the entries are not those of the signed log")
    if kept:
        _, old, before, _ = opened(kept, keys)
        others = (base64.b64decode(one) for one in (proof["earlier"] or {"hashes": []})["hashes"])
        if old > size or (old and roots_of(old, size, before, others) != (before, root)):
            raise ValueError(f"the log does not extend the {old} entries of the checkpoint that you kept")
    signed = datetime.fromtimestamp(time, timezone.utc)
    return f"entries {first} to {first + len(leaves) - 1} of {origin} hold: {size} entries, signed {signed}"


def main() -> int:
    options = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    options.add_argument("--vkeys", type=Path, required=True)
    options.add_argument("--kept", type=Path)
    options.add_argument("folder", type=Path, nargs="?", default=Path(__file__).parent)
    given = options.parse_args()
    lines = [line.split("+", 2) for line in given.vkeys.read_text("utf-8").splitlines() if line[:1] not in {"", "#"}]
    raw = [(name, base64.b64decode(key)) for name, _, key in lines]
    keys = [(name, hashlib.sha256(name.encode() + b"\n" + key).digest()[:4], key[0], key[1:]) for name, key in raw]
    try:
        print(check(given.folder, keys, given.kept.read_text("utf-8") if given.kept else ""))
    except (ValueError, LookupError, TypeError, StopIteration) as error:
        print(f"REFUSED: {error or 'a hash is missing'}", file=sys.stderr)
        return 6
    return 0


if __name__ == "__main__":
    sys.exit(main())
