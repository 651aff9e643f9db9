"""What the documentation site does to the pages: files of the root put in, and a few repairs."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from mkdocs.config.defaults import MkDocsConfig
    from mkdocs.structure.files import Files
    from mkdocs.structure.pages import Page

ROOT = Path(__file__).parents[1]
_LINK = re.compile(r"\[([^\]]+)\]\((?!https?:|#)([^)#]+)(#[^)]*)?\)")
_INCLUDE = re.compile(r"^<!-- include: (\S+) -->$", re.MULTILINE)
# Sphinx' roles, which docstrings use for names; here the name alone is shown.
_ROLE = re.compile(r":(?:class|func|meth|mod|data|attr|exc):<code>~?([\w.]+)</code>")


def on_page_markdown(markdown: str, *, page: Page, config: MkDocsConfig, files: Files) -> str:  # noqa: ARG001
    """Fill in what stands elsewhere; show links that leave the site as the paths they name."""
    markdown = _INCLUDE.sub(lambda match: _included(match[1]), markdown)
    folder = Path(config.docs_dir, page.file.src_uri).parent

    def shown(match: re.Match[str]) -> str:
        text, path, anchor = match.groups(default="")
        target = Path(os.path.normpath(folder / path))
        if not target.exists():
            raise FileNotFoundError(f"{page.file.src_uri} links to {path}")
        if target.is_relative_to(config.docs_dir):
            return f"[{text}]({os.path.relpath(target, folder)}{anchor})"
        named = f"`{target.relative_to(ROOT)}`"
        return named if text == named else f"{text} ({named})"

    return _LINK.sub(shown, markdown)


def _included(name: str) -> str:
    """A file of the repository's root, its links as seen from ``docs``."""
    return _LINK.sub(r"[\1](../\2\3)", (ROOT / name).read_text("utf-8"))


def on_page_content(html: str, *, page: Page, config: MkDocsConfig, files: Files) -> str:  # noqa: ARG001
    """Show a role's name without the role."""
    return _ROLE.sub(r"<code>\1</code>", html)
