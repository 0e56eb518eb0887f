"""decai.openai: the official client over an engine in this process (openai_cases.py)."""
import os
import re
import subprocess
import unittest

import decai
import serving

ROOMS = {"infer"}


class OpenAI(unittest.TestCase):
    def test_the_official_client(self):
        peer = serving.official_client(self)
        done = subprocess.run([peer, "tests/python/openai_cases.py"], capture_output=True, text=True,
                              env=dict(os.environ, DECAI_LIBRARY=decai.library_path))
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertGreaterEqual(int(re.search(r"Ran (\d+) tests", done.stderr).group(1)), 17)


if __name__ == "__main__":
    unittest.main()
