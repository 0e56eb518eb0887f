"""Blocks of every tensor type as floats: ours beside the package gguf, the
format's own reference, on thousands of random blocks. tests/golden/types.txt
holds some of its values for machines without it."""
import os
import subprocess
import tempfile
import unittest

ROOMS = {"model"}
# The Python that has gguf: one named by the caller, or what tests/run.sh installs.
PEER = os.environ.get("DECAI_PEER_PYTHON", "build/peers/bin/python")


class Types(unittest.TestCase):
    def test_every_type_is_as_in_gguf(self):
        peer = PEER if os.path.exists(PEER) else "python3"
        if subprocess.run([peer, "-c", "import gguf"], capture_output=True).returncode:
            self.skipTest("the package gguf is not installed")
        program = os.path.join(os.environ.get("BUILD", "build/release"), "tests/unit/model_types_test")
        with tempfile.NamedTemporaryFile("w+b") as cases:
            subprocess.run([peer, "tests/tools/golden_types.py", "20261123", "400"], stdout=cases, check=True)
            lines = open(cases.name, "rb").read().splitlines()
            self.assertEqual(len(lines), 15 * 400)
            done = subprocess.run([program, cases.name], capture_output=True, text=True)
            self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
            # Control: one changed bit of one value is seen.
            last = lines[-1][:-1] + (b"0" if lines[-1][-1:] != b"0" else b"1")
            cases.seek(0)
            cases.write(b"\n".join(lines[:-1] + [last]) + b"\n")
            cases.truncate()
            cases.flush()
            done = subprocess.run([program, cases.name], capture_output=True, text=True)
            self.assertNotEqual(done.returncode, 0)


if __name__ == "__main__":
    unittest.main()
