#!/usr/bin/env bash
# Gradescope runs this once, as root, when it builds the image of an autograder: it installs the
# course. Containers there mostly have no user namespaces, so that the code under check runs as
# another user. What this user has to read lies in /opt, and everything else is closed.
set -euo pipefail
umask 022

root=${AUTOGRADER_ROOT-} # to try this out in another place than /
course=$root/opt/course

# uv, beside the system's Python packages and not among them; it fetches a Python of its own.
export DEBIAN_FRONTEND=noninteractive
apt-get update
apt-get install --yes --no-install-recommends ca-certificates python3-pip
python3 -m pip install --target "$root/opt/uv" uv
export UV_PYTHON=${UV_PYTHON-3.13} UV_PYTHON_INSTALL_DIR=$root/opt/python
export UV_NO_CACHE=1 UV_COMPILE_BYTECODE=1

# The course, with its environment in .venv.
cp -rT "$root/autograder/source/course" "$course"
cd "$course"
"$root/opt/uv/bin/uv" sync

# Is everything there?
.venv/bin/python -m tutor check 1 --tree solutions

# What the code under check has no business with; `run_autograder` closes /autograder.
chmod -R go-rwx solutions tests tutor/{exercises,grade}
