"""base through Python: names, options, seams, handles, errors, and the binding itself."""
import array
import gc
import os
import subprocess
import sys
import threading
import unittest

import decai


class Names(unittest.TestCase):
    def test_version_is_the_header_s(self):
        self.assertEqual(decai.version(), "%d.%d.%d" % (decai.VERSION_MAJOR, decai.VERSION_MINOR, decai.VERSION_PATCH))
        self.assertEqual(decai.version(), decai.__version__)

    def test_every_error_has_its_name_and_class(self):
        for row in decai.api["errors"]:
            self.assertEqual(decai.error_name(row["value"]), row["name"])
            self.assertTrue(issubclass(decai.errors[row["value"]], decai.Error))
        self.assertEqual(decai.error_name(0), "ok")
        self.assertEqual(decai.error_name(-9999), "DECAI_E_UNKNOWN")

    def test_every_constant_by_name(self):
        for row in decai.api["constants"] + decai.api["errors"]:
            self.assertEqual(decai.constant_get(row["name"]), row["value"])
        with self.assertRaises(decai.NotFoundError):
            decai.constant_get("DECAI_NO_SUCH_THING")

    def test_embedded_json_is_the_committed_one(self):
        with open("bindings/api.json", encoding="utf-8") as f:
            self.assertEqual(decai.api_json(), f.read())

    def test_features(self):
        features = decai.features()
        self.assertTrue(features)
        self.assertIsNone(decai.feature_at(len(features)))

    def test_every_option_row_is_in_the_json(self):
        rows, i = [], 0
        while (row := decai.option_at(i)) is not None:
            rows.append(row.key)
            i += 1
        self.assertEqual(sorted(rows), sorted(o["name"] for o in decai.api["options"]))


class Options(unittest.TestCase):
    def test_every_type_can_be_set(self):
        """One key of each type, where the tree has one; the setters all succeed."""
        values = {"I64": lambda o: o["min"], "F64": lambda o: o["min"], "STR": lambda o: "x" * max(o["min"], 1),
                  "BYTES": lambda o: b"\1" * max(o["min"], 1), "FN": lambda o: None}
        with decai.Context() as context:
            for row in decai.api["options"]:
                options = decai.Options(context)
                getattr(options, "set_" + row["type"].lower())(row["name"], values[row["type"]](row))

    def test_bounds_and_names_are_checked(self):
        with self.assertRaises(decai.InvalidError) as e:
            decai.Context({"base.threads": 100000})
        self.assertIn("base.threads", e.exception.detail)
        self.assertEqual((e.exception.code, e.exception.name), (decai.E_INVALID, "DECAI_E_INVALID"))
        with self.assertRaises(ValueError):
            decai.Context({"base.no_such_option": 1})

    def test_a_seam_and_a_log_in_python(self):
        lines, clock = [], [0]

        def now():
            clock[0] += 1
            return 1000 * clock[0]
        with decai.Context({"seam.clock.wall_ms": now, "base.log": lambda level, text: lines.append((level, text)),
                            "seam.random.fill": lambda out: out.__setitem__(slice(None), b"\7" * len(out))}) as context:
            gc.collect()
            self.assertIn("Context", repr(context))

    def test_options_live_as_long_as_what_they_made(self):
        options = decai.Options()
        options.set_fn("seam.clock.mono_ns", lambda: 5)
        context = decai.Context(options)
        del options
        gc.collect()
        context.close()


class Handles(unittest.TestCase):
    def test_close_twice_and_use_after(self):
        context = decai.Context()
        second = context.retain()
        context.close()
        context.close()
        with self.assertRaises(ValueError):
            context.retain()
        second.close()
        decai.destroy(None)

    def test_wrong_types_are_python_errors(self):
        with decai.Context() as context:
            with self.assertRaises(TypeError):
                decai.options_set_i64(context, "base.threads", 1)
            with self.assertRaises(TypeError):
                decai.task_cancel(None)
        with self.assertRaises(OverflowError):
            decai.error_name(1 << 40)
        with self.assertRaises(ValueError):
            decai.constant_get("DECAI_\0X")
        with self.assertRaises(TypeError):
            decai.constant_get()

    def test_detail_belongs_to_the_thread(self):
        seen = []

        def fail():
            try:
                decai.Context({"base.threads": -5})
            except decai.Error as e:
                seen.append(e.detail)
        threads = [threading.Thread(target=fail) for _ in range(4)]
        for t in threads:
            t.start()
        for t in threads:
            t.join()
        self.assertEqual(len(seen), 4)
        self.assertTrue(all("base.threads" in s for s in seen))
        self.assertIsInstance(decai.error_detail(), str)


class Conversions(unittest.TestCase):
    def test_buffers_are_lent(self):
        from decai import _convert
        data = bytearray(b"abc")
        pointer, n = _convert.bytes_in(data, "data")
        pointer[0] = ord("X")
        self.assertEqual((data, n), (b"Xbc", 3))
        numbers = array.array("i", [1, 2, 3])
        pointer, n = _convert.numbers_in(numbers, "int32_t", "numbers")
        pointer[0] = 9
        self.assertEqual((list(numbers), n), ([9, 2, 3], 3))
        self.assertEqual(list(_convert.numbers_in([4, 5], "int32_t", "numbers")[0]), [4, 5])
        with self.assertRaises(OverflowError):
            _convert.numbers_in([1 << 40], "int32_t", "numbers")

    def test_callback_prototypes(self):
        from decai import _convert
        self.assertEqual(_convert.callback_types("int32_t (*)(void *user, uint8_t *out, size_t len): 0 or an error"),
                         ("int32_t", ["void *", "uint8_t *", "size_t"]))
        for row in decai.api["options"]:
            if row["type"] == "FN":
                _convert.callback(lambda *_: 0, row["doc"], -17)


class Package(unittest.TestCase):
    def test_import_costs_little_more_than_its_json(self):
        """Meant to be under 50 ms; judged beside reading the same JSON, since a
        time alone says how busy the machine is."""
        start = "import time; t = time.process_time(); "
        ours = start + "import decai; print(time.process_time() - t)"
        plain = start + "import ctypes, json; json.load(open('bindings/api.json')); print(time.process_time() - t)"
        env = dict(os.environ, PYTHONPATH="bindings/python")
        env.pop("PYTHONDONTWRITEBYTECODE", None)
        best = {}
        for _ in range(7):
            for code in (ours, plain):
                took = float(subprocess.run([sys.executable, "-c", code], env=env, stdout=subprocess.PIPE, check=True).stdout)
                best[code] = min(took, best.get(code, took))
        print(f"# import decai: {best[ours] * 1000:.1f} ms of CPU, its JSON alone {best[plain] * 1000:.1f} ms")
        self.assertLess(best[ours], 6 * best[plain])

    def test_a_missing_library_is_said_plainly(self):
        env = dict(os.environ, PYTHONPATH="bindings/python", DECAI_LIBRARY="/nonexistent/libdecai.so")
        p = subprocess.run([sys.executable, "-c", "import decai"], env=env, stderr=subprocess.PIPE)
        self.assertNotEqual(p.returncode, 0)
        self.assertIn(b"DECAI_LIBRARY", p.stderr)

    def test_the_stub_names_what_the_module_has(self):
        import ast
        with open("bindings/python/decai/__init__.pyi", encoding="utf-8") as f:
            tree = ast.parse(f.read())
        for node in tree.body:
            if isinstance(node, ast.FunctionDef):
                self.assertTrue(hasattr(decai, node.name), node.name)
            if isinstance(node, ast.ClassDef) and not node.name.endswith("Result"):
                cls = getattr(decai, node.name)
                for item in node.body:
                    if isinstance(item, ast.FunctionDef):
                        self.assertTrue(hasattr(cls, item.name), node.name + "." + item.name)


if __name__ == "__main__":
    unittest.main()
