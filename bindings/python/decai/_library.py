"""Find and open libdecai.so: DECAI_LIBRARY, beside this file, then the system's."""
import ctypes
import os

SONAME = "libdecai.so.0"

# The packages (Debian, Ubuntu) of what the library itself needs.
PACKAGES = {
    "libcrypto.so.3": "libssl3", "libsecp256k1.so.1": "libsecp256k1-1", "libcjson.so.1": "libcjson1",
    "libOpenCL.so.1": "ocl-icd-libopencl1", "libsqlite3.so.0": "libsqlite3-0",
}


def _hint(message):
    for library, package in PACKAGES.items():
        if message.startswith(library + ":"):
            return " (install the package %s)" % package
    return ""


def load():
    """The opened library and the path it came from."""
    asked = os.environ.get("DECAI_LIBRARY")
    beside = os.path.join(os.path.dirname(os.path.abspath(__file__)), SONAME)
    # Whoever names a library wants that one: nothing else is tried then.
    places = [asked] if asked else [p for p in (beside,) if os.path.exists(p)] + [SONAME]
    tried = []
    for place in places:
        try:
            return ctypes.CDLL(place), place
        except OSError as e:
            tried.append("%s: %s%s" % (place, e, _hint(str(e))))
    raise ImportError("libdecai cannot be opened; set DECAI_LIBRARY to its path, or install it\n  " + "\n  ".join(tried))
