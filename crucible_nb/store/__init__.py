"""Durable storage: journals, segments, checkpoints, followers, PostgreSQL copies and archives."""
