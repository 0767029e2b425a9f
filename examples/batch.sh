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

part=$1 parts=$2 submissions=$(cd "$3" && pwd) output=$4
shift 4
course=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)

all=("$submissions"/*)
share=$(mktemp -d)
trap 'rm -r "$share"' EXIT
for ((i = part - 1; i < ${#all[@]}; i += parts)); do
    ln -s "${all[i]}" "$share"
done
if [[ -z $(ls "$share") ]]; then
    echo "Part $part of $parts is empty: there are ${#all[@]} submissions."
    exit
fi

# 1 says that a submission is wrong or unfinished, and nothing of the grading.
uv run --project "$course" tutor grade "$share" --output "$output" "$@" || (($? == 1))
