"""decai.openai: the official client over an engine in this process (openai_cases.py)."""
import os
import re
import subprocess
import unittest

import decai

ROOMS = {"infer"}
# The Python that has the package openai: one named by the caller, or what tests/run.sh installs.
PEER = os.environ.get("DECAI_PEER_PYTHON", "build/peers/bin/python")


class OpenAI(unittest.TestCase):
    def test_the_official_client(self):
        peer = PEER if os.path.exists(PEER) else "python3"
        if subprocess.run([peer, "-c", "import openai"], capture_output=True).returncode:
            self.skipTest("the package openai is not installed")
        done = subprocess.run([peer, "tests/python/openai_cases.py"], capture_output=True, text=True,
                              env=dict(os.environ, DECAI_LIBRARY=decai.library_path))
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertGreaterEqual(int(re.search(r"Ran (\d+) tests", done.stderr).group(1)), 17)


if __name__ == "__main__":
    unittest.main()
