"""Bringing back the past with RESTORE."""
