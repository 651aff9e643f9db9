"""Datil, the generation that the JavaScript SDK 7.4.0 speaks."""
