"""Readers of a run's events for people."""
