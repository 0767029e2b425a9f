"""Time a step of training at the bundled model's sizes, for the chapter Your own text.

    OMP_WAIT_POLICY=passive uv run --extra train python benchmarks/training.py

Writes book/src/data/own_text.json. CPU time counts, divided among the threads: with threads that
sleep while they wait, a machine that is busy with other things changes it little.
"""

import json
import statistics
import tempfile
import time
from pathlib import Path

import numpy as np
import torch

from tutor import ROOT
from tutor.train.models import make_model
from tutor.train.settings import Settings
from tutor.train.trainer import Trainer

RESULT = ROOT / "book" / "src" / "data" / "own_text.json"
THREADS, STEPS = 2, 3


def main() -> None:
    torch.set_num_threads(THREADS)
    settings = Settings()
    ids = np.random.default_rng(0).integers(settings.vocab_size, size=300_000)
    with tempfile.TemporaryDirectory() as folder:
        trainer = Trainer(make_model(settings), ids, ids[:3000], settings, Path(folder))
        trainer.train_step()  # the first one takes longer
        seconds = statistics.median(cpu_seconds(trainer) for _ in range(STEPS)) / THREADS
    result = {"threads": THREADS, "seconds_per_step": round(seconds, 2)}
    RESULT.write_text(json.dumps(result, indent=1) + "\n")
    print(result)


def cpu_seconds(trainer: Trainer) -> float:
    start = time.process_time()
    trainer.train_step()
    return time.process_time() - start


if __name__ == "__main__":
    main()
