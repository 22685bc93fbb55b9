"""Questions, one YAML file a technique."""
