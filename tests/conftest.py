"""What all tests share: no grade of theirs leaves a warm judge behind. Its own tests turn it on, and end it."""

import os

os.environ["LEARN_WARM"] = "0"
