# What one Gradescope assignment asks for. Read by run_autograder.

# The technique, by short name or full id: 'learn list' shows what there is.
TECHNIQUE=ppo

# Of what learners read: en or zh.
LANGUAGE=en

# The weakest walls to run a submission behind: strong, or process where Gradescope's machine has no Landlock. Behind
# 'process' a submission can read this folder, the secret seed with it, and write its own results.json.
CONTAINMENT=strong
