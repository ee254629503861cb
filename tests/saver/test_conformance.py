"""LangGraph's own conformance suite on JetStreamSaver."""

from langgraph.checkpoint.conformance import checkpointer_test, validate
from langgraph.checkpoint.conformance.capabilities import Capability

from runs.langgraph import JetStreamSaver


async def test_the_conformance_suite_detects_all_eight_capabilities_and_passes(bridge):
    @checkpointer_test(name="JetStreamSaver")
    async def factory():
        yield JetStreamSaver(bridge.checkpoints)

    report = await validate(factory)
    results = report.results
    assert len(results) == len(Capability) == 8
    assert all(each.detected for each in results.values())
    assert [failure for each in results.values() for failure in each.failures] == []
    assert all(each.passed and each.tests_passed for each in results.values())
    assert sum(each.tests_passed for each in results.values()) >= 81
