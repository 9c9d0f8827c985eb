"""Inputs that fuzzing begins with: whole documents of every kind, and what fuzzing found before (`found/`)."""

from __future__ import annotations

import io
import json as plain_json
import struct
import tempfile
import zipfile
from functools import cache
from pathlib import Path

from airgap_bundle.archive import Entry, write_tar
from airgap_bundle.digest import sha256
from airgap_bundle.sign_models import prepare_models_request
from airgap_bundle.signing.request import parse_request
from airgap_bundle.signing.response import respond
from airgap_bundle.statement import WAIVER_TYPE, sign_statement
from airgap_bundle.store_record import Record
from tests.bundles import NOW, Draft, make, signer
from tests.model_bundles import roots
from tests.unit.models.small_release import STANDARD, text
from tests.unit.models.small_release import gguf as gguf_file

FOUND = Path(__file__).parent / "found"


def found(target: str) -> list[bytes]:
    """What fuzzing ``target`` has found, kept so that it stays mended."""
    folder = FOUND / target
    return [path.read_bytes() for path in sorted(folder.iterdir())] if folder.is_dir() else []


def gguf() -> list[bytes]:
    """Headers of every value type, with and without tensors."""
    scalars = [(f"k{kind}".encode(), kind, bytes(size)) for kind, size in ((0, 1), (2, 2), (4, 4), (6, 4), (10, 8))]
    lists = (b"l", 9, struct.pack("<IQ", 4, 3) + bytes(12))
    long = (b"long", 8, text(b"x" * 300))
    return [
        gguf_file(),
        gguf_file([*STANDARD, *scalars, lists]),
        gguf_file([*STANDARD, long], ()),
        gguf_file(version=2),
    ]


def json() -> list[bytes]:
    """Documents, and spellings that have fooled parsers."""
    return [
        b'{"a":[1,-2.5e3,true,null,"\\u00e9\\ud83d\\ude00"],"b":{}}',
        b'{"a":1,"a":2}',
        b"[NaN]",
        b"[1e999]",
        b'"\\ud800"',
        b"\xef\xbb\xbf{}",
        b"[" * 40 + b"]" * 40,
        b"9223372036854775808",
    ]


@cache
def _bundle_documents() -> tuple[bytes, ...]:
    with tempfile.TemporaryDirectory() as folder:
        bundle = make(Path(folder, "bundle"))
        contents = [path.read_bytes() for path in sorted(bundle.rglob("*")) if path.is_file()]
    return tuple(data for data in contents if data.startswith(b"{"))


def metadata() -> list[bytes]:
    """Every document of a small bundle and of one of models, what a ceremony sends about it, a record, and more."""
    statement = sign_statement({"schema": 1}, WAIVER_TYPE, signer("architect"))
    key_file = plain_json.dumps(signer("architect").public.to_json()).encode()
    record = Record("1.0.0", 1, sha256(b"i"), sha256(b"r"), sha256(b"f"), ("architect",)).to_bytes()
    return [*_bundle_documents(), *_models_documents(), statement, key_file, record]


def _models_documents() -> tuple[bytes, ...]:
    with tempfile.TemporaryDirectory() as folder:
        bundle = Draft(version="1.0.1", files={"tiny-model": {"model.gguf": b"GGUF"}}).write(Path(folder, "bundle"))
        asked = prepare_models_request(bundle, roots(), now=NOW)[1]
        return (
            (bundle / "metadata/models.json").read_bytes(),
            asked,
            respond(parse_request(asked), signer("deputy"), NOW),
        )


def tar() -> list[bytes]:
    """Archives with folders, an executable, a long path, and none at all."""
    found: list[bytes] = []
    for entries in (
        [],
        [Entry("a", b"1" * 600)],
        [Entry("bin", None), Entry("bin/run", b"#!", executable=True)],
        [Entry("d/" + "n" * 120, b"2"), Entry("d/" + "m" * 120 + "/" + "n" * 120, b"3")],
    ):
        out = io.BytesIO()
        write_tar(out, entries)
        found.append(out.getvalue())
    return found


def zip() -> list[bytes]:  # noqa: A001 - the target's name
    """Archives of both methods, a wheel and a jar."""
    found = []
    for method in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA):
        out = io.BytesIO()
        with zipfile.ZipFile(out, "w", method) as archive:
            archive.writestr("x-1.dist-info/METADATA", b"Name: x\nLicense-Expression: MIT\n")
            archive.writestr("x/a.so", b"\0GLIBC_2.36\0")
            archive.writestr("META-INF/core/pom.properties", b"groupId=g\nartifactId=core\nversion=1.0\n")
        found.append(out.getvalue())
    return found
