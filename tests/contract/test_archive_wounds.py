"""Wounds that users of comparable archives suffered from, and the tests that show them healed.

Each test of ``test_run_event_store.py`` runs on every event store that the wound applies to: in
memory, files written directly, and log with archive in three states.

Two processes give 1, 2, 2, 3
    test_run_event_store.py:
        test_two_processes_never_give_the_same_seq
        test_concurrent_puts_get_a_seq_each
        test_seq_is_not_used_again_after_a_restart
A sequence is used again after a deletion
    test_run_event_store.py:
        test_no_seq_is_used_again_after_a_deletion
A torn tail swallows the next acknowledged record
    test_run_event_store.py:
        test_a_torn_last_line_takes_no_other_record_with_it
    ../unit/test_run_file.py:
        test_wherever_a_write_tears_the_next_process_ends_with_whole_lines
A line that is no object crashes every write
    test_run_event_store.py:
        test_a_line_that_is_no_object_stops_neither_reads_nor_writes
    ../unit/test_run_file.py:
        test_a_damaged_last_line_stays_and_what_it_held_is_asked_for_again
A batch is written to the file of its first event
    test_run_event_store.py:
        test_a_batch_goes_to_the_run_of_each_record_and_keeps_its_order
    ../integration/test_sink.py:
        test_every_event_of_many_runs_is_archived_once_and_in_order
A cancelled write releases the lock early
    test_run_event_store.py:
        test_a_caller_that_gives_up_harms_no_other
    ../integration/test_sink.py:
        test_a_sink_that_is_cancelled_keeps_the_lock_until_its_write_is_done
A limit of 0 returns everything
    test_run_event_store.py:
        test_a_limit_of_zero_gives_nothing_and_a_negative_one_is_an_error
    ../unit/test_archive_reader.py:
        test_a_run_is_read_from_the_start_or_after_any_record
A page boundary loses a row
    test_run_event_store.py:
        test_paging_either_way_reaches_every_message_once
        test_paging_either_way_reaches_every_event_of_a_run_once
    ../integration/test_archive_http.py:
        test_all_events_of_a_run_are_reached_page_by_page
A whole thread is read again for each page
    test_run_event_store.py:
        test_a_page_reads_a_page_and_not_the_thread
    ../unit/test_line_search.py:
        test_a_long_file_is_searched_with_few_reads
A path leads out of the archive in a deletion
    test_run_event_store.py:
        test_a_deletion_leads_nowhere_out_of_the_archive
        test_no_read_leads_out_of_the_archive
    ../unit/test_run_file.py:
        test_no_id_leads_out_of_the_archive
A deleted thread comes back
    test_run_event_store.py:
        test_a_deleted_thread_does_not_come_back_through_a_late_write
"""

from proofs import assert_proofs_exist


def test_every_wound_names_tests_that_exist():
    assert_proofs_exist(__doc__, __file__, at_least=20)
