"""The plugin contract: manifests, hooks, registry, interfaces and what properties are written with."""
