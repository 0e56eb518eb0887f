"""The notebook, cell by cell, as its reader runs it; and the outputs it shows are of such a run."""
import json
import os
import subprocess
import unittest

import decai
import serving

ROOMS = {"job"}
NOTEBOOK = "examples/job_life.ipynb"
RUN = """
import json, sys
space = {}
for at, cell in enumerate(json.load(open("job_life.ipynb"))["cells"]):
    if cell["cell_type"] == "code":
        exec(compile("".join(cell["source"]), "cell %d" % at, "exec"), space)
"""


class Notebook(unittest.TestCase):
    def setUp(self):
        with open(NOTEBOOK, encoding="utf-8") as f:
            self.cells = json.load(f)["cells"]

    def test_a_life_end_to_end(self):
        peer = serving.official_client(self)
        done = subprocess.run([peer, "-c", RUN], capture_output=True, text=True, cwd="examples",
                              env=dict(os.environ, DECAI_LIBRARY=decai.library_path))
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertEqual(done.stdout.count('{"action":"transfer","amount":"25","token":"USDC","to":"Maria"}'), 2, done.stdout)
        self.assertIn("{'ok': True}", done.stdout)
        self.assertIn("'conserved': True", done.stdout)
        for account, amount in (("ada", 9260000), ("cirrus", 1576000), ("olga", 64000), ("vera", 100000)):
            self.assertRegex(done.stdout, r"(?m)^%s +%d$" % (account, amount))

    def test_what_it_shows_was_seen(self):
        code = [c for c in self.cells if c["cell_type"] == "code"]
        self.assertEqual([c["execution_count"] for c in code], list(range(1, len(code) + 1)))
        self.assertFalse([o for c in code for o in c["outputs"] if o["output_type"] == "error"])
        context = decai.Context()
        root = decai.Model.load(context, "examples/model/decai-actions.q8_0.gguf").root_get().hex()
        self.assertIn(root, json.dumps([c["outputs"] for c in code]))


if __name__ == "__main__":
    unittest.main()
