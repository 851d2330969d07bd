"""Measurements that are run by hand; each prints its command, versions, seed and machine."""
