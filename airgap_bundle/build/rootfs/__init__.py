"""File trees of container images, as values: read from packages, changed, and written as layers.

    deb, wheel_tree, zip_tree, tar_tree ─▶ tree ─▶ layer
                                             │
                                          content (bytes, wherever they lie)

Nothing of a tree is ever created on this machine's file system, so that a link in a package points at nothing here.
"""
