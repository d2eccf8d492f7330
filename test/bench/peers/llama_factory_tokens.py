"""`llama_factory_tokens.py FOLDER`: how many rows and tokens LLaMA-Factory made of a file, as JSON."""

import json
import sys

from datasets import load_from_disk

rows = load_from_disk(sys.argv[1])["train"]
counts = {
    "rows": len(rows),
    "tokens": sum(len(ids) for ids in rows["input_ids"]),
    "trainedTokens": sum(sum(label != -100 for label in labels) for labels in rows["labels"]),
}
print(json.dumps(counts))
