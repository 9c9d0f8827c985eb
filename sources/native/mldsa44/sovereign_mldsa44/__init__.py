"""The folder of ``libsovereign_mldsa44.so``; ``appliance.audit.mldsa`` loads it and says what its functions do."""
