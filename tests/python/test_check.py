"""The runner's own judgement: what must count as failed does."""
import os
import sys
import unittest

import check

LISTED = [["unit/x_test:maybe", "ci", "a reason"], ["unit/x_test:local", "local", "a reason"]]


class Judge(unittest.TestCase):
    def judge(self, output, status=0, rows=LISTED):
        return check.judge("unit/x_test", status, output, rows)[:3]

    def test_what_cmocka_prints(self):
        self.assertEqual(self.judge("1..3\nok 1 - a\nhalf a line ok 2 - b\nno vectors\nnot ok 3 # SKIP maybe\n"), (2, 0, 1))
        self.assertEqual(self.judge("1..1\nnot ok 1 - a\n# 0x1 != 0x2\n# not ok - t\n", 1), (0, 1, 0))
        self.assertEqual(self.judge("ok 1 - a # SKIP because\n1..1\n", rows=[["unit/x_test:a", "ci", "r"]]), (0, 0, 1))

    def test_what_must_fail(self):
        good = "1..1\nok 1 - a\n"
        self.assertEqual(self.judge(good), (1, 0, 0))
        self.assertEqual(self.judge(good, -11), (1, 1, 0), "a signal after the last test")
        self.assertEqual(self.judge(good, 23), (1, 1, 0), "a leak reported at the end")
        self.assertEqual(self.judge("1..2\nok 1 - a\n"), (1, 1, 0), "exit in the middle")
        self.assertEqual(self.judge("ok 1 - a\n"), (1, 1, 0), "no plan")
        self.assertEqual(self.judge(""), (0, 1, 0), "nothing at all")
        self.assertEqual(self.judge("1..1\nnot ok 1 # SKIP other\n"), (0, 1, 1), "a skip that is not listed")

    def test_a_local_skip_in_ci(self):
        before = check.CI
        try:
            check.CI = True
            self.assertEqual(self.judge("1..1\nnot ok 1 # SKIP local\n"), (0, 1, 1))
            check.CI = False
            self.assertEqual(self.judge("1..1\nnot ok 1 # SKIP local\n"), (0, 0, 1))
        finally:
            check.CI = before

    def test_a_crash_and_a_hang(self):
        env = dict(os.environ)
        status, _, _ = check.run([sys.executable, "-c", "import os; os.kill(os.getpid(), 11)"], env, 20)
        self.assertEqual(status, -11)
        status, output, seconds = check.run(["sh", "-c", "echo 1..1; sleep 60"], env, 1)
        self.assertLess(seconds, 20)
        self.assertEqual(check.judge("unit/x_test", status, output, LISTED)[1], 1)
        self.assertEqual(check.run(["/nonexistent/program"], env, 1)[0], 127)


if __name__ == "__main__":
    unittest.main()
