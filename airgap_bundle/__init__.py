"""Signed offline bundles: format (FORMAT.md), lock, build, sign, verify, import.

Where to begin: ``verify.verify`` reads a bundle and reports, ``importer.import_release`` brings it into a site's
``store.Store``, ``sign.sign_bundle`` adds a signature, ``statement`` signs and verifies other documents, ``errors``
draws the tree of everything that is raised. Nothing here knows Kubernetes, Keycloak or HTTP serving.
"""
