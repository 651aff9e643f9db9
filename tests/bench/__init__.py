"""Ratios that the documentation states, measured in one run: ``make bench``."""
