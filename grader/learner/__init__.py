"""A learner's workspace, state, quizzes, labs and brief."""
