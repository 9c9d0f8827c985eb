"""Who made a model and what was done to it: signatures and statements that travel with its files.

``publisher_signature`` writes and verifies OMS signatures (OpenSSF Model Signing 1.0) of ``manifest``s, which
``folder`` reads from disk; ``publishers`` says whose signatures count; ``origin`` signs and verifies statements about
origin. Nothing here decides what is acceptable: that is the policy of whoever asks. ``errors`` draws the tree.
"""
