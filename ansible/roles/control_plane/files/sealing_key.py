"""Makes the key that Secrets are sealed with at rest, on the host that keeps it; prints nothing."""

import base64
import os
import secrets
from pathlib import Path

FOLDER = Path("/etc/kubernetes/sovereign")
SETTINGS = """\
apiVersion: apiserver.config.k8s.io/v1
kind: EncryptionConfiguration
resources:
- resources: [secrets]
  providers:
  - secretbox: {{keys: [{{name: first, secret: "{key}"}}]}}
  - identity: {{}}
"""

os.umask(0o077)
partial = FOLDER / "encryption.partial"
with partial.open("w") as out:
    out.write(SETTINGS.format(key=base64.b64encode(secrets.token_bytes(32)).decode()))
    out.flush()
    os.fsync(out.fileno())
partial.rename(FOLDER / "encryption.yaml")
