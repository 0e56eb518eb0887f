"""Every family of safetensors models beside the package transformers, which made
and saved the files (tests/tools/families.py): the same logits but for rounding."""
import os
import subprocess
import unittest

ROOMS = {"model", "infer"}
PEER = os.environ.get("DECAI_PEER_PYTHON", "build/peers/bin/python")


class Families(unittest.TestCase):
    def test_families_are_as_in_transformers(self):
        peer = PEER if os.path.exists(PEER) else "python3"
        if subprocess.run([peer, "-c", "import numpy, torch, transformers"], capture_output=True).returncode:
            self.skipTest("the packages transformers and torch are not installed")
        done = subprocess.run([peer, "tests/tools/families.py"], capture_output=True, text=True)
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
        rows = [line.rsplit(": ", 1) for line in done.stdout.splitlines()]
        self.assertEqual(len(rows), 16)
        for name, values in rows:
            near, far = map(float, values.split())
            with self.subTest(name):
                self.assertLess(near, 2e-3)          # the cache is f16
                self.assertGreater(far, 100 * near)  # another prompt's: the measure can fail


if __name__ == "__main__":
    unittest.main()
