"""The network of the Chipotle generation: sessions and conditions enforced by a gate inside an enclave."""
