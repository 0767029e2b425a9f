"""Pack the bundled models into scripts for the pages of the book that run them (book/live/).

python -m tools.book.pack_model          write book/src/live/NAME.js for each, if out of date

Each number is rounded to a multiple of a step, which is the same for a whole tensor: its root mean
square over STEPS. The playground says what that loses. The upper bytes of all numbers come first,
since they compress; the lower ones look like noise. Only the standard library is used, since the
site is built where nothing else is installed.
"""

import base64
import json
import math
import os
import struct
import zlib
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
MODELS = (ROOT / "models" / "fairy-tales", ROOT / "models" / "llama-tales")
FOLDER = ROOT / "book" / "src" / "live"
CONV1D = ("c_attn.weight", "c_proj.weight", "c_fc.weight")  # [in, out] in the checkpoint
STEPS = 550  # as fine as fits into 5 MB
GZIP = 31  # what zlib calls the format that browsers unpack


def read_checkpoint(file: Path) -> Iterator[tuple[str, list[float]]]:
    """The name and the numbers of each tensor; matrices are rows of [out, in]."""
    content = file.read_bytes()
    (length,) = struct.unpack_from("<Q", content)
    entries: dict[str, Any] = json.loads(content[8 : 8 + length])
    entries.pop("__metadata__", None)
    for name, entry in entries.items():
        if entry["dtype"] != "F16":
            raise SystemExit(f"{name} in {file} must be F16, but is {entry['dtype']}")
        begin, end = entry["data_offsets"]
        numbers = struct.unpack_from(f"<{(end - begin) // 2}e", content, 8 + length + begin)
        width = entry["shape"][1] if name.endswith(CONV1D) else 1
        yield name, [number for column in range(width) for number in numbers[column::width]]


def round_numbers(numbers: Sequence[float]) -> tuple[list[int], float]:
    """Whole numbers, and the step: times it, they are as near to these numbers as can be."""
    step = math.hypot(*numbers) / math.sqrt(len(numbers)) / STEPS
    return [round(number / step) for number in numbers], step


def script(folder: Path) -> str:
    """The text of the script: config, merges and weights, compressed."""
    config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    merges = json.loads((folder / "tokenizer.json").read_text(encoding="utf-8"))["model"]["merges"]
    tensors, packed = [], b""
    for name, numbers in read_checkpoint(folder / "model.safetensors"):
        wholes, step = round_numbers(numbers)
        tensors.append((name, len(wholes), step))
        packed += struct.pack(f"<{len(wholes)}h", *wholes)
    # Only the frequency of bytes helps here; to look for repetitions takes long and finds none.
    compress = zlib.compressobj(9, zlib.DEFLATED, GZIP, 9, zlib.Z_HUFFMAN_ONLY)
    zipped = compress.compress(packed[1::2] + packed[0::2]) + compress.flush()
    content = {
        "config": config,
        "tensors": tensors,
        "merges": "\n".join(" ".join(pair) for pair in merges),
        "packed": base64.b64encode(zipped).decode(),
    }
    said = json.dumps(content, ensure_ascii=False)
    return f'(window.courseModels ??= {{}})["{folder.name}"] = {said};\n'


def main() -> None:
    FOLDER.mkdir(exist_ok=True)
    for model in MODELS:
        target = FOLDER / f"{model.name}.js"
        sources = [Path(__file__), *model.glob("*.json"), model / "model.safetensors"]
        newest = max(file.stat().st_mtime for file in sources)
        if not target.exists() or target.stat().st_mtime < newest:
            new = target.with_suffix(f".{os.getpid()}")  # whole, or not there at all
            new.write_text(script(model), encoding="utf-8")
            new.replace(target)
            print(f"{target.relative_to(ROOT)} written, {target.stat().st_size / 1e6:.1f} MB")


if __name__ == "__main__":
    main()
