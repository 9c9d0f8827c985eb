"""`python -m appliance.link.check HOST:PORT…`: a chart's test that a link answers, and nobody without a certificate.

It shows no certificate itself, so after TLS's own greeting the link must say nothing more and close. Whoever answers is
not asked for a name, since nothing is told to it.
"""

from __future__ import annotations

import contextlib
import socket
import ssl
import sys

PATIENCE_SECONDS = 10.0


def turned_away(host: str, port: int) -> bool:
    """Whether the link at ``host`` and ``port`` closes on who shows no certificate.

    Raises ``OSError`` where nobody answers, or something that is no TLS.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    with (
        socket.create_connection((host, port), PATIENCE_SECONDS) as plain,
        context.wrap_socket(plain) as secured,
    ):
        with contextlib.suppress(ConnectionError, ssl.SSLError):
            secured.sendall(b"\0")
            return not secured.recv(1)
        return True


def main(ends: list[str]) -> int:
    """Ask every link; the exit status."""
    status = 0
    for end in ends:
        host, _, port = end.rpartition(":")
        try:
            good = turned_away(host, int(port))
            said = "turns away who has no certificate" if good else "lets in who has no certificate"
        except OSError as error:
            good, said = False, f"no link answers: {error}"
        sys.stdout.write(f"{end}: {said}\n")
        status |= not good
    return status


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
