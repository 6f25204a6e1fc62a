"""Tests of the embedded server, with PyMySQL only."""
