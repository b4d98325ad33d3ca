//! Whose lines they are.

use super::incident::Incident;
use crate::analysis::logs::groups::own;
use crate::domain::evidence::LogEvent;

/// The groups whose lines are kept, and what is said of the others.
fn told(groups: &[&str]) -> (Vec<String>, Vec<String>) {
    let mut incident = Incident::calm();
    incident.failing(0.3, "ledger page torn");
    let mut evidence = incident.evidence;
    evidence.scope.resources.log_groups = vec!["/shop/orders".to_owned()];
    evidence.gaps.clear();
    let events = evidence.logs.as_mut().unwrap();
    let first = events.first().cloned().expect("a calm service logs");
    *events = groups.iter().map(|group| LogEvent { group: (*group).into(), ..first.clone() }).collect();
    let own = own(&evidence);
    let kept = own.logs.iter().flatten().map(|event| event.group.to_string()).collect();
    (kept, own.gaps.iter().map(|gap| gap.reason.clone()).collect())
}

#[test]
fn lines_of_a_strangers_group_are_left_out_and_counted() {
    let groups = ["/shop/orders", "/aws/lambda/tally", "/aws/lambda/checkout", "", "/aws/lambda/tally"];
    let (kept, gaps) = told(&groups);
    assert_eq!(kept, ["/shop/orders", "/aws/lambda/checkout", ""]);
    assert_eq!(gaps, ["2 lines of /aws/lambda/tally were left out: they are none of checkout's."]);
}

#[test]
fn where_no_line_is_of_a_named_group_all_are_meant() {
    let (kept, gaps) = told(&["/aws/lambda/tally", "/aws/lambda/other"]);
    assert_eq!((kept.len(), gaps.len()), (2, 0));
}
