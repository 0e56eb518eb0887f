"""Real text in megabytes, from what is installed: manual pages in several languages
(Debian: manpages-dev, -de, -es, -fr, -ja, -ru, -zh), Python's library, Node's headers
and the system's. The same machine gives the same text; halves share no file.
  mixed(size, half)        English and code, about equal parts
  multilingual(size, half) German, Spanish, French, Japanese, Russian, Chinese
  code(size, half), english(size, half), language(name, size, half)"""
import functools
import gzip
import os
import re
import zlib

MAN = "/usr/share/man"
LANGUAGES = {"de": "de", "es": "es", "fr": "fr", "ja": "ja", "ru": "ru", "zh": "zh_CN"}
SIZE_MAX = 400_000          # bytes of one file; more is mostly tables
FAMILY_MAX = 60             # pages whose names begin with one word


def _walk(folder, endings):
    for root, folders, names in os.walk(folder):
        folders.sort()
        for name in sorted(names):
            path = os.path.join(root, name)
            if name.endswith(endings) and not os.path.islink(path) and os.path.getsize(path) < SIZE_MAX:
                yield path


def _half(path, half):
    return half is None or zlib.crc32(path.encode()) % 2 == half


def _page(path):
    """A manual page without the lines that only format."""
    try:
        with gzip.open(path, "rt", encoding="utf-8") as f:
            lines = f.read().split("\n")
    except (OSError, UnicodeDecodeError, EOFError):
        return ""
    lines = [x[3:].strip() if x[:3] in (".B ", ".I ", ".SH") else x for x in lines if not x.startswith("'")]
    text = re.sub("\n\n+", "\n\n", "\n".join(x for x in lines if not x.startswith(".")))
    for mark in ("\\fB", "\\fI", "\\fR", "\\fP", "\\&", "\\|"):
        text = text.replace(mark, "")
    return text.replace("\\-", "-").replace("\\(aq", "'").replace("\\e", "\\") + "\n"


def _source(path):
    try:
        with open(path, encoding="utf-8") as f:
            return f.read() + "\n"
    except (OSError, UnicodeDecodeError):
        return ""


def _spread(paths):
    """In an order of no meaning that is the same each time."""
    return sorted(paths, key=lambda p: zlib.crc32(p.encode() + b"x"))


def _pages(folder, half):
    """At most a few pages of each name's first word: one package is not the text."""
    seen, out = {}, []
    for path in _spread(p for s in "12345678" for p in _walk(os.path.join(folder, "man" + s), (".gz",))):
        word = re.split("[-_.:]", os.path.basename(path))[0]
        seen[word] = seen.get(word, 0) + 1
        if seen[word] <= FAMILY_MAX and _half(path, half):
            out.append(path)
    return out


def _sources(half):
    library = os.path.dirname(os.__file__)
    python = [p for p in _walk(library, (".py",)) if "site-packages" not in p and "/test/" not in p]
    headers = [p for d in ("/usr/include", "/usr/lib/node_modules", "/usr/share/nodejs")
               for p in _walk(d, (".h", ".js", ".mjs", ".ts", ".hpp")) if ".min." not in p]
    pick = [_spread(python), _spread(headers)]
    # In turns: a header or script behind each file of Python.
    return [p for i in range(max(len(x) for x in pick)) for x in pick if i < len(x) for p in [x[i]] if _half(p, half)]


def _take(paths, size, read):
    out, n = [], 0
    for path in paths:
        if n >= size:
            break
        text = read(path)
        out.append(text)
        n += len(text.encode())
    return "".join(out).encode()[:size].decode(errors="ignore")


@functools.lru_cache(None)
def english(size, half=None):
    return _take(_pages(MAN, half), size, _page)


@functools.lru_cache(None)
def code(size, half=None):
    return _take(_sources(half), size, _source)


@functools.lru_cache(None)
def language(name, size, half=None):
    return _take(_pages(os.path.join(MAN, LANGUAGES[name]), half), size, _page)


def _turns(texts, step=20000):
    """Texts in turns of about `step` characters."""
    out = []
    for i in range(0, max(map(len, texts)), step):
        out += [t[i:i + step] for t in texts if i < len(t)]
    return "".join(out)


def mixed(size, half=None):
    return _turns([english(size // 2, half), code(size // 2, half)])


def multilingual(size, half=None):
    return _turns([language(x, size // len(LANGUAGES), half) for x in sorted(LANGUAGES)])
