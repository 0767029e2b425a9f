#!/usr/bin/env bash
# Grades a class on machines that you reach by SSH, such as those of a lab.
#
#   examples/cluster/ssh.sh HOSTS ADDRESS SUBMISSIONS OUTPUT [OPTION …]
#
# HOSTS is a file with a line for each machine: its name, and how many workers to start there, as in
# `lab07 4`. Each has the course in the same folder as this machine, and its own environment. ADDRESS
# is what they call this machine. The options are those of `tutor grade`. Whoever reaches port 8786
# of this machine can run code on all of them: use a network that only you can reach, or TLS.
set -euo pipefail

hosts=$1 address=tcp://$2:8786 submissions=$3 output=$4
shift 4
course=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)

trap 'kill $(jobs -p) 2>/dev/null || true' EXIT
uv run --project "$course" --extra cluster dask scheduler --host "$address" --no-dashboard &
while read -r host workers; do
    # Workers end a minute after the scheduler.
    ssh -n "$host" "cd '$course' && exec uv run --extra cluster dask worker '$address' \
        --nworkers '$workers' --nthreads 1 --no-dashboard --death-timeout 60" &
done <"$hosts"

# 1 says that a submission is wrong, unfinished or not to be graded, and nothing of the grading.
uv run --project "$course" --extra cluster tutor grade "$submissions" --output "$output" \
    --scheduler "$address" "$@" || (($? == 1))
