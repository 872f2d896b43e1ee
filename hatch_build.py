"""Build hook: the package index shows the README outside the repository, so its links become absolute there."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from hatchling.metadata.plugin.interface import MetadataHookInterface

RELATIVE = re.compile(r"(\]\()(?!https?://|#|mailto:)([^)\s]+)(\))")


class ReadmeLinks(MetadataHookInterface):
    """Fills in the README with links into the repository that the project's URLs name."""

    def update(self, metadata: dict[str, Any]) -> None:
        """Set the description."""
        base = metadata["urls"]["Source"].rstrip("/") + "/blob/main/"
        text = (Path(self.root) / "README.md").read_text(encoding="utf-8")
        absolute = RELATIVE.sub(lambda link: f"{link[1]}{base}{link[2]}{link[3]}", text)
        metadata["readme"] = {"content-type": "text/markdown", "text": absolute}
