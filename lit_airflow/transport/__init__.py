"""HTTP: requests, retries, threads, asking many servers at once."""
