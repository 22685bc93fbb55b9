"""Alignment: making a language model prefer what people prefer."""
