"""What `rlm cache` shows and does: dspy's cache of models' answers, and the texts of files.

dspy's is the only cache of answers. Its folder and its limit are dspy's own settings:
`DSPY_CACHEDIR`, and `DSPY_CACHE_LIMIT` in bytes; beyond the limit, the answers that were not used
for longest go first. The texts that files were read as lie in the cache folder, up to
`RLM_TEXTS_MB`. Several processes may use both at once.
"""

from dataclasses import dataclass


@dataclass(frozen=True)
class CacheStats:
    """How full the cache on disk is.

    Args:
        folder: Where it lies; empty where there is none.
        entries: How many answers, or texts, it holds.
        size: What it takes on disk, in bytes.
        limit: What it may take, in bytes.
    """

    folder: str
    entries: int
    size: int
    limit: int


def texts_stats() -> CacheStats:
    """How full the cache of files' texts is."""
    from rlm_dspy.context.kept_texts import folder, limit_bytes, opened

    if not folder().is_dir():
        return CacheStats(str(folder()), 0, 0, limit_bytes())
    with opened() as kept:
        return CacheStats(str(folder()), len(kept), kept.volume(), limit_bytes())


def clear_texts() -> int:
    """Forgets the texts of files; reading them makes them again.

    Returns:
        How many there were.
    """
    from rlm_dspy.context.kept_texts import folder, opened

    if not folder().is_dir():
        return 0
    with opened() as kept:
        return kept.clear()


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
