"""The build backend of `pip install bindings/python`: standard library, no network.

A wheel is the package, the built libdecai.so beside it, and the metadata. The
library is taken from DECAI_LIBRARY, or from build/release of the tree this
file lies in (`make lib`). The same inputs give the same bytes: names sorted,
one date, one mode, one compression level.
"""
import base64
import glob
import hashlib
import os
import platform
import re
import shutil
import subprocess
import tempfile
import time
import zipfile

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(os.path.dirname(HERE))
SONAME = "libdecai.so.0"


def _version():
    with open(os.path.join(ROOT, "include", "decai", "base.h"), encoding="utf-8") as f:
        text = f.read()
    parts = [re.search(r"DECAI_VERSION_%s (\d+)" % p, text).group(1) for p in ("MAJOR", "MINOR", "PATCH")]
    return ".".join(parts)


def _library():
    asked = os.environ.get("DECAI_LIBRARY")
    build = os.environ.get("BUILD", os.path.join("build", "release"))
    found = [asked] if asked else sorted(glob.glob(os.path.join(ROOT, build, "libdecai.so.*.*.*")))
    if len(found) != 1 or not os.path.exists(found[0]):
        raise SystemExit("decai_build: no built library: run `make lib` in %s first, or set DECAI_LIBRARY" % ROOT)
    with open(found[0], "rb") as f:
        if f.read(4) != b"\x7fELF":
            raise SystemExit("decai_build: %s is no shared library" % found[0])
    # Debug information triples the size of the wheel; the system's strip takes it out.
    if shutil.which("strip"):
        with tempfile.TemporaryDirectory() as folder:
            copy = os.path.join(folder, SONAME)
            subprocess.run(["strip", "--strip-debug", "-o", copy, found[0]], check=True)
            with open(copy, "rb") as f:
                return f.read()
    with open(found[0], "rb") as f:
        return f.read()


def _tag():
    return "py3-none-linux_" + platform.machine()


def _metadata(version):
    return ("Metadata-Version: 2.1\nName: decai\nVersion: %s\n"
            "Summary: A job of decentralised AI through its whole life: matched, run, proven, signed, settled\n"
            "License: MIT\nRequires-Python: >=3.9\n" % version).encode()


def _wheel_file():
    return ("Wheel-Version: 1.0\nGenerator: decai_build\nRoot-Is-Purelib: false\nTag: %s\n" % _tag()).encode()


def _package():
    """{path in the wheel: bytes} of the Python files."""
    files = {}
    for name in sorted(os.listdir(os.path.join(HERE, "decai"))):
        if name.endswith((".py", ".pyi", ".typed")):
            with open(os.path.join(HERE, "decai", name), "rb") as f:
                files["decai/" + name] = f.read()
    return files


def _write(path, files):
    when = max(int(os.environ.get("SOURCE_DATE_EPOCH", "315532800")), 315532800)   # zip begins in 1980
    date = time.gmtime(when)[:6]
    with zipfile.ZipFile(path, "w") as z:
        for name in sorted(files):
            info = zipfile.ZipInfo(name, date)
            info.create_system = 3
            info.external_attr = (0o100755 if name.endswith(SONAME) else 0o100644) << 16
            info.compress_type = zipfile.ZIP_DEFLATED
            z.writestr(info, files[name], compresslevel=9)


def build_wheel(wheel_directory, config_settings=None, metadata_directory=None):
    version = _version()
    info = "decai-%s.dist-info/" % version
    files = _package()
    files["decai/" + SONAME] = _library()
    files[info + "METADATA"] = _metadata(version)
    files[info + "WHEEL"] = _wheel_file()
    rows = []
    for name in sorted(files):
        digest = base64.urlsafe_b64encode(hashlib.sha256(files[name]).digest()).rstrip(b"=").decode()
        rows.append("%s,sha256=%s,%d" % (name, digest, len(files[name])))
    files[info + "RECORD"] = ("\n".join(rows + [info + "RECORD,,"]) + "\n").encode()
    wheel = "decai-%s-%s.whl" % (version, _tag())
    _write(os.path.join(wheel_directory, wheel), files)
    return wheel


def build_sdist(sdist_directory, config_settings=None):
    raise SystemExit("decai_build: there is no source package of the binding alone; it is built from the library's tree")


def get_requires_for_build_wheel(config_settings=None):
    return []


def get_requires_for_build_sdist(config_settings=None):
    return []
