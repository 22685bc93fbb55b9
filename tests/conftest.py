"""What all tests share: no grade of theirs leaves a warm judge behind, and a terminal is as wide as it is."""

import os

os.environ["LEARN_WARM"] = "0"  # its own tests turn it on, and end it
os.environ.pop("COLUMNS", None)  # pytest-xdist sets it
