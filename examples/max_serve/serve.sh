#!/usr/bin/env bash
# Serves a folder with a GPT-2 by `max serve`: from this machine only, offline, without telemetry.
#
#   examples/max_serve/serve.sh [FOLDER [OPTION …]]
#
# Without FOLDER, it's the bundled model; the options are those of `max serve`. The first start
# compiles for some minutes, the next ones take seconds.
set -euo pipefail

course=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
folder=$(realpath "${1:-$course/models/fairy-tales}")
cd "$course"
export HF_HUB_OFFLINE=1 MAX_SERVE_DISABLE_TELEMETRY=1 MODULAR_TELEMETRY_ENABLED=0
export PYTHONPATH="$course" TUTOR_KERNELS=compile # no pack of the course has this graph
exec uv run max serve \
    --custom-architectures examples.max_serve \
    --model "$folder" \
    --weight-path model.safetensors \
    --quantization-encoding float32 \
    --served-model-name "$(basename "$folder")" \
    --devices cpu \
    --host 127.0.0.1 \
    "${@:2}"
