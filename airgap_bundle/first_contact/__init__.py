"""First contact: how a host that has nothing of the project yet comes to trust a bundle.

``record`` is the bundle's text file FIRST-CONTACT, ``signatures`` what persons sign of it, ``check`` the question that
`bundle verify` asks about both, ``program`` the `uv` inside its wheel, ``card`` what signers publish to sites beside
the bundle, with the script ``first-contact.sh`` that a host runs. FORMAT.md section 21 is the text they follow.
"""
