"""The kinds of quiz question: drawing them, and marking answers."""
