use super::*;

fn tp(partition: i32) -> TopicPartition {
    TopicPartition::new("t", partition)
}

fn running(partitions: &[i32]) -> Group {
    let mut group = Group::default();
    let list: Vec<_> = partitions.iter().map(|p| tp(*p)).collect();
    group.assigned(&list);
    for partition in &list {
        group.start(partition, 0).unwrap();
    }
    assert_eq!(group.take_starting().len(), partitions.len());
    group
}

#[test]
fn start_of_an_assigned_partition_is_told_once() {
    let mut group = Group::default();
    group.assigned(&[tp(0), tp(1)]);
    group.start(&tp(1), 5).unwrap();
    group.start(&tp(1), 6).unwrap();
    assert_eq!(group.take_unassign(), None);
    assert_eq!(group.take_starting(), [(tp(1), 6)]);
    assert_eq!(group.take_starting(), []);
}

#[test]
fn start_of_a_partition_that_is_not_ours_is_refused() {
    let mut group = running(&[0]);
    assert_eq!(group.start(&tp(9), 0).unwrap_err().code.id, "FB0515");
    group.revoked(&[tp(0)]);
    assert_eq!(group.start(&tp(0), 0).unwrap_err().code.id, "FB0515");
}

#[test]
fn start_again_lets_go_first() {
    let mut group = running(&[0]);
    group.start(&tp(0), 9).unwrap();
    assert_eq!(group.take_unassign(), Some(vec![tp(0)]));
    assert_eq!(group.take_unassign(), None);
    assert_eq!(group.take_starting(), [(tp(0), 9)]);
}

#[test]
fn revoke_is_answered_when_all_of_it_is_released() {
    let mut group = running(&[0, 1, 2]);
    group.revoked(&[tp(0), tp(1)]);
    assert_eq!(group.take_unassign(), None);
    group.release(&[tp(1)]);
    assert_eq!(group.take_unassign(), None);
    group.release(&[tp(0)]);
    assert_eq!(group.take_unassign(), Some(vec![tp(1), tp(0)]));
    assert_eq!(group.take_unassign(), None);
}

#[test]
fn revoke_of_what_never_started_is_answered_with_nothing() {
    let mut group = Group::default();
    group.assigned(&[tp(0), tp(1)]);
    group.start(&tp(1), 3).unwrap();
    group.revoked(&[tp(0), tp(1), tp(7)]);
    assert_eq!(group.take_starting(), []);
    group.release(&[tp(0), tp(1), tp(7)]);
    assert_eq!(group.take_unassign(), Some(vec![]));
    assert_eq!(group.take_starting(), []);
}

#[test]
fn revoke_of_nothing_is_answered_at_once() {
    let mut group = running(&[0]);
    group.revoked(&[]);
    assert_eq!(group.take_unassign(), Some(vec![]));
}

#[test]
fn start_during_an_open_revoke_waits_for_its_answer() {
    let mut group = running(&[0, 1]);
    group.assigned(&[tp(2)]);
    group.revoked(&[tp(0)]);
    group.start(&tp(2), 4).unwrap();
    group.start(&tp(1), 8).unwrap();
    assert_eq!((group.take_unassign(), group.take_starting()), (None, vec![]));
    group.release(&[tp(0)]);
    assert_eq!(group.take_unassign(), Some(vec![tp(0), tp(1)]));
    assert_eq!(group.take_starting(), [(tp(1), 8), (tp(2), 4)]);
}

#[test]
fn loss_is_answered_at_once() {
    let mut group = running(&[0, 1]);
    group.lost(&[tp(0), tp(1)]);
    assert_eq!(group.take_unassign(), Some(vec![tp(0), tp(1)]));
    assert_eq!(group.give_up(), None);
    // A release that comes late changes nothing.
    group.release(&[tp(0)]);
    assert_eq!(group.take_unassign(), None);
}

#[test]
fn loss_of_a_revoked_list_gives_up_what_is_not_released() {
    let mut group = running(&[0, 1, 2]);
    group.revoked(&[tp(0), tp(1)]);
    group.release(&[tp(0)]);
    assert_eq!(group.give_up(), Some(vec![tp(1)]));
    assert_eq!(group.take_unassign(), Some(vec![tp(0), tp(1)]));
}

#[test]
fn release_of_a_partition_that_stays_ours_only_stops_it() {
    let mut group = running(&[0]);
    group.release(&[tp(0)]);
    assert_eq!(group.take_unassign(), Some(vec![tp(0)]));
    group.start(&tp(0), 2).unwrap();
    assert_eq!(group.take_unassign(), None);
    assert_eq!(group.take_starting(), [(tp(0), 2)]);
}

#[test]
fn start_that_the_client_refused_can_be_tried_again() {
    let mut group = running(&[0]);
    group.not_started(&tp(0));
    group.start(&tp(0), 2).unwrap();
    assert_eq!(group.take_unassign(), None);
    assert_eq!(group.take_starting(), [(tp(0), 2)]);
}
