"""A wallet's delegation to a short-lived key: scope, sign-in text, capabilities, signatures."""
