"""Lint the project's YANG models with pyang, inside this process.

Needs nothing but pyang, since the build hook runs it in pip's isolation.
pyang's lint registers its rules for the whole process: a process that lints must not
compile anything else afterwards, so tests run these tools as programs.
"""

from __future__ import annotations

import functools
import importlib.metadata
import optparse
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pyang import context, error, plugin, repository

if TYPE_CHECKING:
    from collections.abc import Sequence

NAMESPACE = "urn:eman:yang:"
MODULE = "eman"
LINE_LENGTH = 72


def models(root: Path) -> list[Path]:
    """Return the files of all models of the project below root: the core's and the backends'."""
    backends = root.glob(f"backends/{MODULE}_backends/*/{MODULE}-backend-*.yang")
    return [*sorted(root.glob(f"yang/{MODULE}-*.yang")), *sorted(backends)]


def standard_directories() -> list[Path]:
    """Return the directories in which pyang's package installed the standard modules."""
    files = importlib.metadata.files("pyang") or []
    return sorted({Path(str(file.locate())).resolve().parent for file in files if file.suffix == ".yang"})


def new_context(paths: Sequence[Path], *options: str) -> Any:
    """Return a pyang context that finds imports beside the given files and in pyang's package alone.

    Neither the environment nor the working directory can put other modules in front of them.
    """
    directories = [*dict.fromkeys(path.parent for path in paths), *standard_directories()]
    repo = repository.FileRepository(os.pathsep.join(map(str, directories)), use_env=False, no_path_recurse=True)
    ctx = context.Context(repo)
    parser = optparse.OptionParser()
    for each in _plugins():
        each.add_opts(parser)
    ctx.opts, _ = parser.parse_args(list(options))
    ctx.implicit_errors = False
    for each in _plugins():
        each.setup_ctx(ctx)
    return ctx


@functools.cache
def _plugins() -> list[Any]:
    plugin.init([])
    return list(plugin.plugins)


def problems(root: Path) -> list[str]:
    """Lint every model below root and return one line for each problem, none if all is well.

    This is `pyang --strict --lint --lint-ensure-hyphenated-names --max-line-length=72 -W error`
    together with our prefixes of namespaces and module names.
    """
    paths = models(root)
    if not paths:
        return [f"{root}: no YANG models found"]
    ctx = new_context(
        paths,
        "--lint",
        "--lint-ensure-hyphenated-names",
        f"--lint-namespace-prefix={NAMESPACE}",
        f"--lint-modulename-prefix={MODULE}",
    )
    ctx.strict = True
    ctx.max_line_len = LINE_LENGTH
    found: list[tuple[str, int, str]] = []
    parsed = []
    for path in paths:
        name = str(path.relative_to(root))
        try:
            text = path.read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as fault:
            found.append((name, 1, f"cannot be read: {fault}"))
            continue
        module = ctx.add_module(name, text, "yang", path.stem, expect_failure_error=False, primary_module=True)
        if module is not None:
            parsed.append(module)
    for each in _plugins():
        each.pre_validate_ctx(ctx, parsed)
    ctx.validate()
    for each in _plugins():
        each.post_validate_ctx(ctx, parsed)
    ours = {str(path.relative_to(root)) for path in paths}
    found += [
        (position.ref, position.line, error.err_to_str(tag, arguments))
        for position, tag, arguments in ctx.errors
        if position.ref in ours
    ]
    return [f"{name}:{line}: {message}" for name, line, message in sorted(set(found))]
