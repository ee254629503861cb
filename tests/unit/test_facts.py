"""What is stored of threads and runs: strict JSON, the same value when it is read back."""

import math

import pytest

from bridge import InvalidContentError, encode_json
from runs import RunSpec


def spec(value):
    return RunSpec(assistant_id="echo", input=value)


@pytest.mark.parametrize(
    "value", [None, "NaN", ["-Infinity", 1], {"NaN": 10**30}, "ä\u2028", 1e22, [{"a": [True]}]]
)
def test_what_is_json_is_stored_as_the_log_would_store_it_and_read_back(value):
    stored = spec(value).encode()
    assert stored == encode_json(spec(value).model_dump(mode="json"))
    assert RunSpec.decode(stored) == spec(value)


@pytest.mark.parametrize("value", [math.nan, {"a": [-math.inf]}, "\ud800", b"\xff", object()])
def test_what_is_not_json_is_refused(value):
    with pytest.raises(InvalidContentError):
        spec(value).encode()
