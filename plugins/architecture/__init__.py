"""Architecture: what a layer of a language model is made of."""
