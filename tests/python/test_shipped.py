"""The shipped model on our engine: as right as its float weights, within a point.

examples/model/measured.json says how many of the held-out requests the float
model answers exactly; the engine must not lose more than one in a hundred.
DECAI_DEEP=1 asks all 900, else the first 200."""
import json
import os
import sys
import unittest

HERE = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..", "examples", "model")
sys.path.insert(0, HERE)
import answer  # noqa: E402


class Shipped(unittest.TestCase):
    def test_accuracy_is_the_float_model_s(self):
        with open(os.path.join(HERE, "measured.json")) as f:
            measured = json.load(f)
        right, of = measured["f16" if os.environ.get("DECAI_DEEP") else "first_200_f16"]
        with open(os.path.join(HERE, "heldout.jsonl")) as f:
            rows = [json.loads(line) for line in f][:of]
        given = answer.answers(os.path.join(HERE, "decai-actions.q8_0.gguf"), requests=[r["request"] for r in rows])
        ours = sum(text == row["answer"] for text, row in zip(given, rows))
        print(f"# shipped model: {ours} of {of} exact, float {right}")
        self.assertGreaterEqual(ours, right - of // 100)

    def test_the_file_fits(self):
        self.assertLessEqual(os.path.getsize(os.path.join(HERE, "decai-actions.q8_0.gguf")), 4000000)


if __name__ == "__main__":
    unittest.main()
