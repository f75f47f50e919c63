"""Tests that take longer than CI has: run by hand, one command, bounded in time (see README.md)."""
