"""`python -m appliance.link.door HOST:PORT ORIGIN PATH CA`: the edge's test that people get in.

Under a certificate of the site's for ORIGIN's name there must be the page, and below PATH the sign-in, which names
ORIGIN as its own. Nobody is signed in.
"""

from __future__ import annotations

import http.client
import json
import socket
import ssl
import sys

PATIENCE_SECONDS = 10.0
REALM = "/realms/sovereign"
MOST_BYTES = 1 << 20


def asked(end: str, origin: str, path: str, ca: str) -> tuple[int, bytes]:
    """Status and body of ``path`` at ``end``, by the name of ``origin`` (`NAME` or `NAME:PORT`).

    Raises ``OSError`` where nobody answers or the certificate is not the site's for that name, and
    ``http.client.HTTPException`` where it is no HTTP.
    """
    host, _, port = end.rpartition(":")
    context = ssl.create_default_context(cafile=ca)
    with (
        socket.create_connection((host, int(port)), PATIENCE_SECONDS) as plain,
        context.wrap_socket(plain, server_hostname=origin.partition(":")[0]) as secured,
    ):
        connection = http.client.HTTPConnection(origin.partition(":")[0])
        connection.sock = secured
        connection.request("GET", path, headers={"Host": origin})
        answer = connection.getresponse()
        return answer.status, answer.read(MOST_BYTES)


def main(end: str, origin: str, path: str, ca: str) -> int:
    """Ask for both; the exit status."""
    expected = f"https://{origin}{path}{REALM}"
    try:
        page, _ = asked(end, origin, "/", ca)
        status, told = asked(end, origin, f"{path}{REALM}/.well-known/openid-configuration", ca)
        issuer = json.loads(told).get("issuer") if status == http.HTTPStatus.OK else None
    except (OSError, http.client.HTTPException, ValueError, AttributeError) as error:
        sys.stdout.write(f"{end}: nobody gets in as {origin}: {error}\n")
        return 1
    good = page == http.HTTPStatus.OK and issuer == expected
    sys.stdout.write(f"{end}: the page answers {page}, the sign-in {status} as {issuer}\n")
    return not good


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
