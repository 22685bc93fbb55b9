"""What a brief looks like: its templates, and its texts in every language."""
