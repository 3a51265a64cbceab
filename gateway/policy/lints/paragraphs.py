"""Everything that `policy check` can say, explained: one paragraph a code."""

from __future__ import annotations

from collections.abc import Mapping

from gateway.policy.lints import LINTS, errors_of_delegates, errors_of_form, errors_of_meaning
from gateway.policy.paragraph import Paragraph, paragraph
from gateway.policy.problems import Level

_ERRORS = {**errors_of_form.TEXTS, **errors_of_meaning.TEXTS, **errors_of_delegates.TEXTS}

PARAGRAPHS: Mapping[str, Paragraph] = {
    **{code: paragraph(code, Level.ERROR, text) for code, text in sorted(_ERRORS.items())},
    **{code: LINTS[code].paragraph for code in sorted(LINTS)},
}
"""By code: the errors first, then the lints."""
