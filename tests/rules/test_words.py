"""Pages, messages and documents use the words of docs/glossary.md, and none of those that it lists as not used."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

from tests.rules import repository

GLOSSARY = Path("docs/glossary.md")
PACKAGES = ("cloudcreds", "hsm", "jobs", "keygroups", "kmes", "logging_reports")
GETTEXT = {"_", "_now", "gettext", "gettext_lazy", "ngettext", "ngettext_lazy"}
# What is no text of a page: tags of templates (but those that hold texts), comments, scripts' attributes.
TEMPLATE_TEXT = re.compile(
    r"{%\s*translate\s+\"([^\"]*)\"|{%\s*blocktranslate\b[^%]*%}(.*?){%\s*endblocktranslate|_\(\"([^\"]*)\"\)",
    re.DOTALL,
)


def unused_words() -> list[str]:
    """Return the left column of the glossary's last table."""
    section = repository.text(GLOSSARY).partition("## Words that are not used")[2]
    rows = re.findall(r"^\| (.+?) \| .+ \|$", section, re.MULTILINE)
    return [word.strip() for row in rows[1:] for word in re.split(r"[,;]", row)]


def messages(path: Path) -> Iterator[str]:
    for node in ast.walk(repository.tree(path)):
        called = getattr(node, "func", None)
        if isinstance(node, ast.Call) and (getattr(called, "id", "") or getattr(called, "attr", "")) in GETTEXT:
            yield from (
                each.value for each in node.args if isinstance(each, ast.Constant) and isinstance(each.value, str)
            )


def texts() -> Iterator[tuple[Path, str]]:
    """Yield what people read: documents, texts of templates, messages of the code."""
    for path in repository.text_files():
        if path.suffix == ".md" and path not in {GLOSSARY, Path("CHANGELOG.md")}:
            yield path, repository.text(path)
        elif path.parts[0] == "templates":
            yield path, "\n".join("".join(found) for found in TEMPLATE_TEXT.findall(repository.text(path)))
        elif path.suffix == ".py" and path.parts[0] in PACKAGES and "migrations" not in path.parts:
            yield path, "\n".join(messages(path))


def test_nobody_has_to_decode_a_word():
    words = unused_words()
    assert len(words) > 30
    refused = re.compile("|".join(rf"\b{re.escape(word)}\b" for word in words), re.IGNORECASE)
    read = list(texts())
    assert len(read) > 400, "templates, messages and documents are found"
    found = {str(path): refused.findall(" ".join(text.split())) for path, text in read}
    assert {path: words for path, words in found.items() if words} == {}, f"the end of {GLOSSARY} says what to write"
