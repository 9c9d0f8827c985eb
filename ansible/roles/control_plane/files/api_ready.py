"""Ends with 0 where this host's own API server is ready, so that keepalived may have the shared address here.

keepalived runs it, as nobody, every three seconds. Its one argument is the host's address, for which the server's
certificate is; the cluster's authority is read from a copy, since its own folder is root's. Anybody may ask whether a
server is ready.
"""

import ssl
import sys
import urllib.request

SECONDS = 4
context = ssl.create_default_context(cafile="/etc/sovereign/api-ca.crt")
try:
    with urllib.request.urlopen(f"https://{sys.argv[1]}:6443/readyz", timeout=SECONDS, context=context) as answer:
        sys.exit(answer.status != 200)  # noqa: PLR2004 - HTTP's own number
except (OSError, ValueError):
    sys.exit(1)
