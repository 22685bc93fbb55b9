#!/usr/bin/env bash
# Runs once, as root, while Gradescope builds the image: Python, Groundup and the CPU build of PyTorch.
set -euo pipefail

root=${AUTOGRADER:-/autograder}
source=$root/source

export DEBIAN_FRONTEND=noninteractive
apt-get update
for version in 3.14 3.13 3.12 3.11 none; do
  if [ "$version" = none ]; then
    echo "No Python from 3.11 to 3.14 can be installed here: choose a newer base image." >&2
    exit 1
  fi
  apt-get install -y "python$version" "python$version-venv" && break
done

"python$version" -m venv "$root/venv"
"$root/venv/bin/pip" install --no-cache-dir \
  --extra-index-url "${TORCH_INDEX:-https://download.pytorch.org/whl/cpu}" "$source"/groundup-*.whl

# Fails here, and not at the first submission, if a setting is wrong: a technique or property that does not exist.
. "$source/settings.sh"
wishes=()
if [ -e "$source/secret_seed" ]; then wishes+=(--seed-file "$source/secret_seed"); fi
if [ -e "$source/points.toml" ]; then wishes+=(--points "$source/points.toml"); fi
"$root/venv/bin/learn" grade-many --technique "$TECHNIQUE" --check ${wishes[@]+"${wishes[@]}"}

chmod -R go= "$source"
"$root/venv/bin/learn" doctor || true # print what the machine offers, for the build log
