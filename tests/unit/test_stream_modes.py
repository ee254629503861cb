import pytest

from api.errors import InvalidRequestError
from api.stream_modes import ModeFilter, parse_modes


@pytest.mark.parametrize("modes", [(), ("*",), ("values", "*")])
def test_no_mode_or_a_star_admits_everything(modes):
    chosen = ModeFilter(modes)
    assert chosen.admits_all
    assert chosen.admits("anything")


@pytest.mark.parametrize(
    ("mode", "event", "admitted"),
    [
        ("values", "values", True),
        ("values", "updates", False),
        ("values", "values|child:1", True),
        ("values", "valuesque", False),
        ("messages-tuple", "messages", True),
        ("messages", "messages/partial", True),
        ("custom", "token", True),
        ("custom", "custom", True),
        ("custom", "updates", False),
        ("custom", "updates|child", False),
        ("token", "token", True),
        ("token", "tokens", False),
        ("updates", "metadata", True),
    ],
)
def test_a_mode_admits_its_events_and_control_events(mode, event, admitted):
    assert ModeFilter([mode]).admits(event) is admitted


@pytest.mark.parametrize(
    "values",
    [["values", "updates"], ["values,updates"], ['["values","updates"]'], [" values ,", "updates"]],
)
def test_all_forms_of_the_query_mean_the_same(values):
    chosen = parse_modes(values)
    assert [chosen.admits(name) for name in ("values", "updates", "debug")] == [True, True, False]


@pytest.mark.parametrize("values", [["["], ["[1]"], ['["a"'], ["a," * 65]])
def test_what_is_no_list_of_modes_is_refused(values):
    with pytest.raises(InvalidRequestError, match="stream_mode"):
        parse_modes(values)
