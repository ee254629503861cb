"""Which events of a thread's runs the modes of threads select."""

import pytest

from api.thread_modes import ThreadModes
from runs import UnsupportedOptionError


@pytest.mark.parametrize(
    ("modes", "asked", "admitted", "refused"),
    [
        ([], ["values"], ["values", "updates", "tick"], []),
        (["run_modes"], ["values", "custom"], ["values", "tick"], ["updates"]),
        (["run_modes", "updates"], ["values"], ["values", "updates"], ["tick"]),
        (["lifecycle"], ["values"], ["metadata"], ["values", "tick"]),
        (["values"], ["updates"], ["values"], ["updates"]),
        (["run_modes"], [], ["values", "tick"], []),
    ],
)
def test_a_run_is_shown_as_reader_and_creator_asked(modes, asked, admitted, refused):
    chosen = ThreadModes(modes).of_run(asked)
    assert all(chosen.admits(name) for name in ["metadata", *admitted])
    assert not any(chosen.admits(name) for name in refused)


@pytest.mark.parametrize(
    ("modes", "asked", "joins"),
    [
        ([], ["messages"], True),
        ([], ["messages-tuple"], False),
        (["run_modes"], ["messages"], True),
        (["run_modes"], ["messages", "messages-tuple"], False),
        (["messages"], ["messages-tuple"], True),
    ],
)
def test_messages_have_the_form_that_was_asked_for(modes, asked, joins):
    assert ThreadModes(modes).of_run(asked).joins_messages == joins


def test_changes_of_a_state_are_no_events():
    with pytest.raises(UnsupportedOptionError, match="state_update"):
        ThreadModes(["run_modes", "state_update"])
