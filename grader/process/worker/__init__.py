"""The untrusted side: what runs in the attempt's process. Holds no reference, property or verdict."""

WHERE = b"w"
"""What the judge sends on the status socket to have a process write which of its lines it runs."""
