"""Chipotle (Lit v3): one service in an enclave, where a Lit Action, the gate, enforces sessions and conditions."""
