"""The untrusted side: what runs in the attempt's process. Holds no reference, property or verdict."""
