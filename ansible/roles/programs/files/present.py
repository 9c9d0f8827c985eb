"""Says what lies at the paths that a file lists: by path, `755 DIGEST` for a program and `-> TARGET` for a link.

Runs on a host, which is asked once for all of them; reads, and changes nothing.
"""

import hashlib
import json
import sys
from pathlib import Path

found = {}
for path in map(Path, Path(sys.argv[1]).read_text().splitlines()):
    if path.is_symlink():
        found[str(path)] = f"-> {path.readlink()}"
    elif path.is_file():
        hashed = hashlib.sha256()
        with path.open("rb") as program:
            while piece := program.read(1 << 20):
                hashed.update(piece)
        found[str(path)] = f"{path.stat().st_mode & 0o7777:o} {hashed.hexdigest()}"
sys.stdout.write(json.dumps(found))
