#!/usr/bin/env python3
"""extract.py DOCUMENT PREFIX FOLDER

Takes the C++ programs out of a document: each ```cpp block with a main(), in order, to FOLDER/PREFIX_<n>.cc. If a ```text
block follows at once, it is what the program prints, and goes to PREFIX_<n>.expected. A block after a comment that begins
with "<!-- not run" is compiled only: PREFIX_<n>.not_run. Prints the names, for CMake; files that are already as they
should be are left alone.
"""
import pathlib
import re
import sys


def write(path, text):
    if not path.exists() or path.read_text() != text:
        path.write_text(text)


def main():
    document, prefix, folder = pathlib.Path(sys.argv[1]), sys.argv[2], pathlib.Path(sys.argv[3])
    folder.mkdir(parents=True, exist_ok=True)
    text = document.read_text()
    names = []
    for found in re.finditer(r"(<!-- not run[^>]*-->\n)?```cpp\n(.*?)```\n(?:```text\n(.*?)```)?", text, re.S):
        if "int main" not in found[2]:
            continue
        name = f"{prefix}_{len(names) + 1}"
        write(folder / f"{name}.cc", found[2])
        for suffix, content in ((".expected", found[3]), (".not_run", found[1])):
            path = folder / f"{name}{suffix}"
            if content is not None:
                write(path, content)
            else:
                path.unlink(missing_ok=True)
        names.append(name)
    print(";".join(names), end="")


main()
