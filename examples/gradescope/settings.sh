# The settings of one Gradescope assignment, read by run_autograder.

# The technique, by short name or full id: 'learn list' shows them.
TECHNIQUE=ppo

# The language of the texts for learners: en or zh.
LANGUAGE=en

# The weakest acceptable containment: strong, or process if Gradescope's machine has no Landlock. With 'process' a
# submission can read this folder, including the secret seed, and write its own results.json.
CONTAINMENT=strong
