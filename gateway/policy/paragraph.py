"""What is said about a code: what is wrong, why it hurts, and the same thing written wrong and right."""

from __future__ import annotations

from dataclasses import dataclass
from inspect import cleandoc
from textwrap import fill

from gateway.policy.problems import Level

_WIDTH = 100


@dataclass(frozen=True, slots=True)
class Paragraph:
    """`before` has the problem, `after` has not; both are empty where no text can show it."""

    code: str
    level: Level
    text: str
    before: str = ""
    after: str = ""

    @property
    def title(self) -> str:
        """The first sentence."""
        return " ".join(self.text.split()).partition(". ")[0].rstrip(".") + "."

    def __str__(self) -> str:
        parts = [f"{self.level}[{self.code}]", fill(" ".join(self.text.split()), _WIDTH)]
        for word, example in (("before", self.before), ("after", self.after)):
            if example:
                parts.append(f"{word}:\n\n" + "\n".join(f"    {line}".rstrip() for line in example.splitlines()))
        return "\n\n".join(parts) + "\n"


def paragraph(code: str, level: Level, written: str) -> Paragraph:
    """Reads a text whose examples follow lines that say `before:` and `after:`."""
    text, _, examples = cleandoc(written).partition("\nbefore:\n")
    before, _, after = examples.partition("\nafter:\n")
    return Paragraph(code, level, text.strip(), cleandoc("\n" + before), cleandoc("\n" + after))
