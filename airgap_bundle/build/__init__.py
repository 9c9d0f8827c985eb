"""The building half: fetch locked inputs, derive artifacts, write the OCI layout.

    kinds ─▶ wheelhouse, keycloak, model, policy ─▶ sbom ─▶ layout
      │            │
      └── fetch ◀──┴── native_wheel, project_wheel
              │
           process (the only module that starts programs) and cache (everything by digest)

`native_wheel` and what it imports use the standard library only.
"""
