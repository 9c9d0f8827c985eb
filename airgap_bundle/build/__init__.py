"""The building half: fetch locked inputs, derive artifacts, write the OCI layout.

    kinds ─▶ wheelhouse, keycloak, model, policy, image, recipe, host_programs ─▶ sbom ─▶ layout
      │            │                                       │
      └── fetch ◀──┴── native_wheel, project_wheel      golang, debian, rootfs
              │                                            │
           process (the only module that starts programs) and cache (everything by digest)

An image comes through `registry`, the only module that opens the network; `image_lock` says which, `signature_check` by
whom.

`native_wheel` and what it imports use the standard library only.
"""
