"""The files that ``learn author new`` writes: a whole distribution, or the files of a built-in technique.

Every folder but ``distribution`` is an example for one interface, small and complete: its texts (``about.toml``), its
solution, properties, misconceptions, lesson, quiz and lab. Only names such as ``<<name>>`` are filled in.
"""
