"""Check the project's YANG models: lint, layout, yanglint and the tree diagrams in docs/trees.

python tools/yang_checks.py            check everything; exit 1 and say what is wrong
python tools/yang_checks.py --write    lay out the models and write the diagrams first
"""

from __future__ import annotations

import argparse
import difflib
import io
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import yang_lint  # its neighbour, since this file is run as a program
from pyang.plugins import tree
from pyang.translators import yang

WIDTH = 69  # of trees and laid out text: RFC 9907 leaves room for the indentation of a document
DIFF_LINES = 12


class Skipped(Exception):
    """A check that cannot be made here."""


def laid_out(path: Path) -> str:
    """Return the model's text as pyang lays it out.

    Indentation, quotes, line breaks and blank lines are pyang's; the order of statements is the
    author's as far as the lint, which knows the canonical order, leaves it open.
    """
    ctx = yang_lint.new_context([path], f"--yang-line-length={WIDTH}")
    ctx.keep_arg_substrings = True
    ctx.keep_comments = True
    out = io.StringIO()
    yang.emit_yang(ctx, ctx.add_module(str(path), path.read_text(encoding="utf-8")), out)
    return out.getvalue()


def diagram(path: Path, paths: list[Path]) -> str:
    """Return the tree diagram (RFC 8340) of the model."""
    ctx = yang_lint.new_context(paths)
    module = ctx.add_module(str(path), path.read_text(encoding="utf-8"))
    ctx.validate()
    out = io.StringIO()
    tree.emit_tree(ctx, [module], out, ctx.opts.tree_depth, WIDTH, None)
    return out.getvalue()


def check_lint(root: Path, *, write: bool) -> list[str]:
    """Run pyang, strict and with the rules of RFC 8407."""
    del write
    return yang_lint.problems(root)


def check_layout(root: Path, *, write: bool) -> list[str]:
    """Compare each model with what pyang would print."""
    return [problem for path in yang_lint.models(root) for problem in _same(path, laid_out(path), root, write=write)]


def check_trees(root: Path, *, write: bool) -> list[str]:
    """Compare docs/trees with the diagrams of the models; a model without nodes has none."""
    paths = yang_lint.models(root)
    folder = root / "docs" / "trees"
    wanted = {folder / f"{path.stem}.txt": diagram(path, paths) for path in paths}
    wanted = {file: text for file, text in wanted.items() if text}
    found = []
    for file, text in wanted.items():
        found += _same(file, text, root, write=write)
    for file in sorted(set(folder.glob("*.txt")) - set(wanted)):
        if write:
            file.unlink()
        else:
            found.append(f"{file.relative_to(root)}: no model has this diagram")
    return found


def _same(path: Path, text: str, root: Path, *, write: bool) -> list[str]:
    present = path.read_text(encoding="utf-8") if path.exists() else ""
    if present == text:
        return []
    if write:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
        return []
    name = str(path.relative_to(root))
    lines = list(difflib.unified_diff(present.splitlines(), text.splitlines(), lineterm="", n=1))[2:]
    more = [f"... {len(lines) - DIFF_LINES} lines more"] if len(lines) > DIFF_LINES else []
    return ["\n".join([f"{name}: differs (--write sets it right)", *lines[:DIFF_LINES], *more])]


def check_yanglint(root: Path, *, write: bool) -> list[str]:
    """Let libyang compile all models together; without it only CI complains."""
    del write
    program = shutil.which("yanglint")
    if program is None:
        if os.environ.get("CI"):
            return ["yanglint is not installed (Debian: libyang2-tools)"]
        raise Skipped("yanglint is not installed (Debian: libyang2-tools)")
    paths = yang_lint.models(root)
    directories = dict.fromkeys([*(path.parent for path in paths), *yang_lint.standard_directories()])
    search = [part for directory in directories for part in ("-p", str(directory))]
    done = subprocess.run(
        [program, *search, *map(str, paths)], capture_output=True, text=True, timeout=120, check=False
    )
    said = [line for line in (done.stdout + done.stderr).splitlines() if line.strip()]
    return said or ([f"yanglint ended with {done.returncode}"] if done.returncode else [])


# The lint comes first: the others need models that can be read.
CHECKS: dict[str, Callable[..., list[str]]] = {
    "lint": check_lint,
    "yanglint": check_yanglint,
    "layout": check_layout,
    "trees": check_trees,
}


def main(arguments: list[str] | None = None) -> int:
    """Run the checks and return the exit status."""
    parser = argparse.ArgumentParser(description="Check the project's YANG models.")
    parser.add_argument("--write", action="store_true", help="lay out the models and write docs/trees")
    parser.add_argument("--root", type=Path, default=Path(__file__).resolve().parent.parent, help="the project")
    chosen = parser.parse_args(arguments)
    root = chosen.root.resolve()
    count = len(yang_lint.models(root))
    failed = False
    for name, check in CHECKS.items():
        try:
            found = check(root, write=chosen.write)
        except Skipped as reason:
            print(f"{name}: skipped, {reason}")
            continue
        print(f"{name}: not well" if found else f"{name}: {count} models well", *found, sep="\n")
        failed = failed or bool(found)
        if failed and check is check_lint:
            break
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
