"""Refuse to build a wheel or an sdist that would carry an invalid YANG model."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

sys.path.insert(0, str(Path(__file__).resolve().parent))
from tools import yang_lint


class YangLintHook(BuildHookInterface[Any]):
    """Lints all models before each build, in pip's isolation too."""

    PLUGIN_NAME = "custom"

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Stop the build with one line for each problem."""
        if found := yang_lint.problems(Path(self.root)):
            count = f"{len(found)} problem{'s' if len(found) > 1 else ''}"
            self.app.abort("\n".join([f"The YANG models have {count}; nothing is built:", *found]))
