"""Tests: one family a file."""
