"""From signature shares to plaintext: pure, no I/O, no clock."""
