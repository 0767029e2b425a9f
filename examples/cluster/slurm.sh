#!/usr/bin/env bash
#SBATCH --job-name=grade
#SBATCH --ntasks=10
#SBATCH --cpus-per-task=1
#SBATCH --mem-per-cpu=1500M
#SBATCH --time=04:00:00
#
# Grades a class as one job of Slurm, with a worker for each task. Submit it in the folder of the
# course, which all nodes have to see, on a network that only your cluster can reach:
#
#   sbatch examples/cluster/slurm.sh SUBMISSIONS OUTPUT [OPTION …]
#
# The options are those of `tutor grade`. If the job's time is over, submit it again: finished grades
# are kept.
set -euo pipefail

submissions=$1 output=$2
shift 2
cd "${SLURM_SUBMIT_DIR:?"start this with sbatch"}"

scheduler=$PWD/scheduler-$SLURM_JOB_ID.json
trap 'kill $(jobs -p) 2>/dev/null || true; rm -f "$scheduler"' EXIT
uv sync --extra cluster # once, and not by every worker
uv run --no-sync dask scheduler --scheduler-file "$scheduler" --no-dashboard &
until [[ -s $scheduler ]]; do sleep 1; done
srun uv run --no-sync dask worker --scheduler-file "$scheduler" --nthreads 1 --no-nanny \
    --no-dashboard --local-directory "${TMPDIR:-/tmp}" --death-timeout 60 &

# 1 says that a submission is wrong, unfinished or not to be graded, and nothing of the grading.
uv run --no-sync tutor grade "$submissions" --output "$output" --scheduler "$scheduler" "$@" ||
    (($? == 1))
