"""What surrounds an example: a distribution's own files, and the manifest."""
