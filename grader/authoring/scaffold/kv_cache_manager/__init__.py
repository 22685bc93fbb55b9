"""KVCacheManager: a cache that grows."""
