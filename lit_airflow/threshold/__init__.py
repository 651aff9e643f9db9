"""Threshold cryptography: signature shares, signatures and ciphertexts. Pure functions without I/O or clock."""
