"""Chipotle (Lit v3): a client of the service, and of the Lit Action there that checks sessions and conditions."""
