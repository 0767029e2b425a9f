#!/usr/bin/env bash
# Grades a part of a class, for where one machine is not enough: every Nth submission, from the Kth.
#
#   examples/batch.sh K N SUBMISSIONS OUTPUT [OPTION …]
#
# SUBMISSIONS is the folder of the class, and the options are those of `tutor grade`; the same --seed
# for all parts gives all learners the same inputs. With Slurm, for one, eight tasks side by side:
#
#   sbatch --array=1-8 --cpus-per-task=2 --mem=4G --wrap \
#       'examples/batch.sh $SLURM_ARRAY_TASK_ID 8 submissions grades-$SLURM_ARRAY_TASK_ID --seed 4711'
#   uv run tutor grade --merge grades-*/results/*.json --output grades   # once they are done
set -euo pipefail

part=$1 parts=$2 submissions=$3 output=$4
shift 4
course=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)

# 1 says that a submission is wrong, unfinished or not to be graded, and nothing of the grading.
uv run --project "$course" tutor grade "$submissions" --part "$part/$parts" --output "$output" "$@" ||
    (($? == 1))
