from __future__ import annotations

import hashlib
import random
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from itertools import count

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from gateway.model.decision import StageCall
from gateway.model.errors import ContentRefused, OverLimit, Unavailable
from gateway.model.verdict import Outcome
from gateway.stages.pipeline import Declared, Pipeline, Tools
from gateway.stages.stage import LASTING, Lane, Wait
from gateway.stages.verdicts import covers, report_to_json, verdict_from_json, verdict_to_json
from tests.images.sound import qcow2
from tests.stages.walk import MIB, chunked, walk

DATA = bytes(range(256)) * 4 * 2600
NOISE = random.Random(7).randbytes(9 * MIB + 5)


@settings(deadline=None, max_examples=50)
@example(len(DATA), [len(DATA)])
@example(len(DATA), [5, 2 * MIB + 1])
@given(st.integers(0, len(DATA)), st.lists(st.integers(1, 3 * MIB), max_size=5))
def test_what_goes_in_comes_out_with_the_right_digests(size: int, sizes: list[int]) -> None:
    data = DATA[:size]
    found = walk(data, "raw", chunks=[*sizes, MIB])
    assert found.stored == data
    assert found.verdict is not None
    assert (found.verdict.size, found.verdict.source_size) == (size, size)
    assert found.verdict.hashes == {"md5": hashlib.md5(data).hexdigest(), "sha512": hashlib.sha512(data).hexdigest()}


@settings(deadline=None, max_examples=50)
@given(st.integers(0, 3 * MIB), st.lists(st.integers(1, 3 * MIB), max_size=5))
def test_the_cap_is_exact_and_does_not_hang_on_chunks(cap: int, sizes: list[int]) -> None:
    found = walk(DATA, "raw", chunks=[*sizes, MIB], max_size=cap)
    assert (found.code == "over-limit") is (len(DATA) > cap)
    assert len(found.stored) == (cap // MIB * MIB if found.code else len(DATA))


def test_the_cap_speaks_before_the_block_is_whole() -> None:
    pipeline = Pipeline([], declared=Declared(), max_size=10)
    with pytest.raises(OverLimit):
        list(pipeline.feed(b"eleven byte"))


def test_a_refused_stream_has_no_verdict_even_if_it_is_finished() -> None:
    for cap, data in ((5, b"123456"), (None, b"COWD" + bytes(MIB))):
        found = walk(data, "raw", max_size=cap)
        assert found.code
        with pytest.raises((OverLimit, ContentRefused)):
            list(found.pipeline.finish())
        with pytest.raises(RuntimeError):
            found.pipeline.verdict()


def test_whole_blocks_leave_as_the_same_objects() -> None:
    pipeline = Pipeline([StageCall("inspect")], declared=Declared("raw", "bare"))
    block = bytearray(MIB)
    assert [out is block for out in pipeline.feed(block)] == [True]


def test_no_block_is_kept_after_feed() -> None:
    pipeline = Pipeline([StageCall("inspect")], declared=Declared("raw", "bare"))
    buffer, stored = bytearray(100_003), bytearray()
    for at in range(0, len(DATA), len(buffer)):
        run = DATA[at : at + len(buffer)]
        buffer[: len(run)] = run
        for block in pipeline.feed(memoryview(buffer)[: len(run)]):
            stored += block
        buffer[:] = bytes(len(buffer))
    for block in pipeline.finish():
        stored += block
    assert stored == DATA


def lazy() -> Lane:
    """The slowest lane there may be: it does its calls when somebody cannot do without them any more."""
    waiting: deque[Callable[[], None]] = deque()

    def start(call: Callable[[], None]) -> Wait:
        waiting.append(call)

        def wait() -> None:
            while call in waiting:
                waiting.popleft()()

        return wait

    return start


def lasting(data: bytes, sizes: Sequence[int]) -> Iterator[memoryview]:
    """`data` in blocks that last exactly as long as they have to; then their buffers hold something else."""
    lent: deque[bytearray] = deque()
    for chunk in chunked(data, sizes):
        lent.append(bytearray(chunk))
        yield memoryview(lent[-1])
        if len(lent) == LASTING:
            spoiled = lent.popleft()
            spoiled[:] = bytes(len(spoiled))


@settings(deadline=None, max_examples=40)
@example([MIB])
@example([MIB, 1, 1, 1, 1, MIB])
@example([MIB - 1, MIB, 2 * MIB + 1, 3])
@given(st.lists(st.sampled_from([1, 3, 70_000, MIB - 1, MIB, MIB + 1, 2 * MIB, 5 * MIB // 2]), min_size=1, max_size=8))
def test_hashes_may_fall_behind_as_far_as_blocks_last(sizes: list[int]) -> None:
    pipeline = Pipeline([StageCall("inspect")], declared=Declared("raw", "bare"), tools=Tools(lane=lazy))
    stored = bytearray()
    for block in lasting(NOISE, [*sizes, MIB]):
        for out in pipeline.feed(block):
            stored += out
    for out in pipeline.finish():
        stored += out
    assert stored == NOISE
    assert pipeline.verdict().hashes["sha512"] == hashlib.sha512(NOISE).hexdigest()


def test_stages_run_in_their_own_order_and_keep_their_time() -> None:
    clock = count()
    tools = Tools(tick=lambda: float(next(clock)))
    found = walk(DATA, "raw", stages=("checksum", "inspect"), tools=tools)
    reports = found.pipeline.reports()
    assert [report.name for report in reports] == ["inspect", "checksum"]
    assert all(report.outcome is Outcome.PASSED and report.size == len(DATA) for report in reports)
    assert all(report.seconds > 0 for report in reports)


def test_an_unknown_stage_or_algorithm_is_the_callers_mistake() -> None:
    with pytest.raises(KeyError):
        Pipeline([StageCall("no-such-stage")], declared=Declared())
    with pytest.raises(ValueError, match="md4"):
        Pipeline([], declared=Declared(), expected={"md4": "00"})


def test_an_option_nobody_here_has_is_not_ignored() -> None:
    with pytest.raises(Unavailable, match="third_opinion"):
        Pipeline([StageCall("inspect", (("third_opinion", "qemu-img"),))], declared=Declared())


@pytest.mark.parametrize("algorithm", ["md5", "sha1", "sha256", "sha384", "sha512"])
def test_a_policy_can_demand_any_digest(algorithm: str) -> None:
    found = walk(DATA, "raw", stages=[StageCall("checksum", (("algorithm", algorithm),))], hashes=("md5",))
    assert found.verdict is not None
    digest = hashlib.new(algorithm, DATA).hexdigest()
    assert found.verdict.hashes[algorithm] == digest
    assert digest in found.verdict.reports[0].findings[0].message


@pytest.mark.parametrize("stages", [(), ("checksum",), ("decompress", "inspect")])
def test_expected_digests_are_always_held(stages: tuple[str, ...]) -> None:
    right = hashlib.sha256(DATA).hexdigest()
    assert walk(DATA, "raw", stages=stages, expected={"sha256": right.upper()}).verdict
    wrong = walk(DATA, "raw", stages=stages, expected={"sha256": "0" * 64})
    assert wrong.code == "checksum-mismatch"
    assert right in wrong.message


def test_a_verdict_survives_being_kept() -> None:
    found = walk(qcow2(), "qcow2", stages=("inspect", StageCall("checksum", (("algorithm", "sha1"),)))).verdict
    assert found is not None
    assert verdict_from_json(verdict_to_json(found)) == found
    assert report_to_json(found.reports[0])["bytes"] == len(qcow2())


def test_a_verdict_covers_the_same_stages_with_the_same_options_only() -> None:
    sha1, sha256 = (StageCall("checksum", (("algorithm", name),)) for name in ("sha1", "sha256"))
    done = walk(qcow2(), "qcow2", stages=("inspect", sha1)).pipeline.reports()
    assert covers(done, [])
    assert covers(done, [StageCall("inspect"), sha1])
    assert not covers(done, [sha256])
    assert not covers(done, [StageCall("checksum")])
    refused = walk(b"COWD" + bytes(600), "raw", stages=("inspect", sha1)).pipeline.reports()
    assert not covers(refused, [StageCall("inspect")])
    assert not covers(refused, [sha1])
