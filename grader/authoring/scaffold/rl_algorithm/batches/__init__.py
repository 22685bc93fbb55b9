"""What differs between the examples of ``RLAlgorithm``: a file for each batch, named after its class."""
