"""`python -m tests.mpc.transcripts [scenario…]`: records them afresh, all if none is named."""

import json
import sys

from tests.mpc.transcripts import HERE, SCENARIOS, transcript

if __name__ == "__main__":
    for name in sys.argv[1:] or SCENARIOS:
        text = json.dumps(transcript(name), indent=1, ensure_ascii=False)
        (HERE / f"{name}.json").write_text(text + "\n")
