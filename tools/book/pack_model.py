"""Pack the bundled model into a script for the pages of the book that run it (book/live/).

python -m tools.book.pack_model          write book/src/live/fairy-tales.js, unless it is up to date

Nothing is lost: the numbers stay the checkpoint's float16, so that the pages write the very stories
of the learner's own model. The upper bytes of all numbers come first, since they compress; the
lower ones look like noise. Only the standard library is used, since the site is built where nothing
else is installed.
"""

import base64
import json
import struct
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
MODEL = ROOT / "models" / "fairy-tales"
SCRIPT = ROOT / "book" / "src" / "live" / "fairy-tales.js"
CONV1D = ("c_attn.weight", "c_proj.weight", "c_fc.weight")  # [in, out] in the checkpoint
USED = ("n_layer", "n_head", "n_embd", "n_positions", "vocab_size", "layer_norm_epsilon")
GZIP = 31  # what zlib calls the format that browsers unpack


def read_checkpoint(file: Path) -> Iterator[tuple[str, bytes]]:
    """The name and the float16 numbers of each tensor; matrices are rows of [out, in]."""
    content = file.read_bytes()
    (length,) = struct.unpack_from("<Q", content)
    entries: dict[str, Any] = json.loads(content[8 : 8 + length])
    entries.pop("__metadata__", None)
    for name, entry in entries.items():
        if entry["dtype"] != "F16":
            raise SystemExit(f"{name} in {file} must be F16, but is {entry['dtype']}")
        begin, end = entry["data_offsets"]
        numbers = content[8 + length + begin : 8 + length + end]
        yield name, transposed(numbers, entry["shape"][1]) if name.endswith(CONV1D) else numbers


def transposed(numbers: bytes, width: int) -> bytes:
    """A matrix of 2-byte numbers with its columns as rows."""
    halves = memoryview(numbers).cast("H").tolist()
    columns = (halves[column::width] for column in range(width))
    return b"".join(struct.pack(f"<{len(column)}H", *column) for column in columns)


def script(folder: Path) -> str:
    """The text of the script: config, merges and weights, compressed."""
    config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    merges = json.loads((folder / "tokenizer.json").read_text(encoding="utf-8"))["model"]["merges"]
    tensors = list(read_checkpoint(folder / "model.safetensors"))
    numbers = b"".join(part for _, part in tensors)
    # Only the frequency of bytes helps here; to look for repetitions takes long and finds none.
    compress = zlib.compressobj(9, zlib.DEFLATED, GZIP, 9, zlib.Z_HUFFMAN_ONLY)
    zipped = compress.compress(numbers[1::2] + numbers[0::2]) + compress.flush()
    content = {
        "config": {name: config[name] for name in USED},
        "tensors": [(name, len(part) // 2) for name, part in tensors],
        "merges": "\n".join(" ".join(pair) for pair in merges),
        "packed": base64.b64encode(zipped).decode(),
    }
    return f"window.courseModel = {json.dumps(content, ensure_ascii=False)};\n"


def main() -> None:
    sources = [Path(__file__), *MODEL.glob("*.json"), MODEL / "model.safetensors"]
    newest = max(file.stat().st_mtime for file in sources)
    if SCRIPT.exists() and SCRIPT.stat().st_mtime >= newest:
        return
    SCRIPT.parent.mkdir(exist_ok=True)
    SCRIPT.write_text(script(MODEL), encoding="utf-8")
    print(f"{SCRIPT.relative_to(ROOT)} written, {SCRIPT.stat().st_size / 1e6:.1f} MB")


if __name__ == "__main__":
    main()
