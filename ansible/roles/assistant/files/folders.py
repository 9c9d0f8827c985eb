"""Makes folders of users by number, or mends them; runs on a host with the list as its one argument, in JSON.

Prints those that were not as they should be.
"""

import json
import os
import sys
from pathlib import Path

MODE = 0o2770
changed = []
for folder in json.loads(sys.argv[1]):
    path, user = Path(folder["path"]), folder["user"]
    path.mkdir(parents=True, exist_ok=True)
    found = path.stat()
    if (found.st_uid, found.st_gid, found.st_mode & 0o7777) != (user, user, MODE):
        os.chown(path, user, user)
        path.chmod(MODE)
        changed.append(str(path))
sys.stdout.write(json.dumps(changed))
