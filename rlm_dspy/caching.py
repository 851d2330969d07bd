"""What `rlm cache` shows and does: dspy's cache of models' answers, which is the only one.

Its folder and its limit are dspy's own settings: `DSPY_CACHEDIR`, and `DSPY_CACHE_LIMIT` in bytes;
beyond the limit, the answers that were not used for longest go first. Several processes may use it
at once.
"""

from dataclasses import dataclass


@dataclass(frozen=True)
class CacheStats:
    """How full the cache on disk is.

    Args:
        folder: Where it lies; empty where there is none.
        answers: How many answers it holds.
        size: What it takes on disk, in bytes.
        limit: What it may take, in bytes.
    """

    folder: str
    answers: int
    size: int
    limit: int


def cache_stats() -> CacheStats:
    """How full the cache is."""
    import dspy
    from dspy.clients import DISK_CACHE_LIMIT

    cache = dspy.cache
    if not cache.enable_disk_cache:
        return CacheStats("", 0, 0, DISK_CACHE_LIMIT)
    disk = cache.disk_cache
    return CacheStats(str(cache.disk_cache_dir), len(disk), disk.volume(), DISK_CACHE_LIMIT)


def clear_cache() -> int:
    """Forgets every answer.

    Returns:
        How many there were on disk.
    """
    import dspy

    dspy.cache.reset_memory_cache()
    return dspy.cache.disk_cache.clear() if dspy.cache.enable_disk_cache else 0
