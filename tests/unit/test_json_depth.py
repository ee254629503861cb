import json

import pytest

from api.limits.json_depth import is_deeper


@pytest.mark.parametrize(
    ("text", "depth"),
    [
        ("1", 0),
        ('"[[[["', 0),
        ("[]", 1),
        ("{}", 1),
        ("[1, [], 2]", 2),
        ('{"a": {"b": [{}]}, "c": 1}', 4),
        ("[" * 50 + "]" * 50, 50),
        ('{"a":' * 50 + "1" + "}" * 50, 50),
    ],
)
def test_the_depth_of_json_is_told(text, depth):
    content = json.loads(text)
    assert not is_deeper(content, depth)
    assert depth == 0 or is_deeper(content, depth - 1)
