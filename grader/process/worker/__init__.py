"""The untrusted side: code that runs in the attempt's process. It holds no reference, property or verdict."""

WHERE = b"w"
"""The byte by which the judge requests, on the status socket, that a process write which line it is running."""
