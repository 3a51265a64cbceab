from pathlib import Path

from tests.isolation.cloud import cloud
from tests.schema_fuzz.campaign import campaign

CASES = 150


def test_no_request_finds_an_answer_that_the_document_does_not_know(tmp_path: Path) -> None:
    with cloud(tmp_path) as running:
        rounds = list(campaign(running, tmp_path, CASES))
    assert not [done.said for done in rounds if not done.passed]
    assert sum(done.cases for done in rounds) >= CASES
