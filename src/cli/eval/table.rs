//! The scoreboard as text and as JSON.

use serde_json::{Value, json};

use super::score::{Scoreboard, Scored, Share};
use crate::domain::report::ActionKind;

/// `71 of 72 98.6 %` with its interval.
pub fn share(share: Share) -> String {
    format!(
        "{:>4} of {:<4} {:>5.1} %  [{:.1}, {:.1}]",
        share.hits,
        share.of,
        share.value() * 100.0,
        share.low * 100.0,
        share.high * 100.0
    )
}

pub fn text(board: &Scoreboard) -> String {
    let mut out = String::new();
    let count = board.scored.len();
    let mut line = |text: String| {
        out.push_str(&text);
        out.push('\n');
    };
    line(format!("{count} bundles, 95 % Wilson intervals in brackets"));
    line(String::new());
    line(format!("cause and change right      {}", share(board.right())));
    for (cause, right) in board.by_cause() {
        line(format!("  {:<25} {}", cause.as_str(), share(right)));
    }
    let (named, wrong, missed) = board.named_change();
    line(format!("named change, right         {}", share(named)));
    line(format!("  another one               {}", share(wrong)));
    line(format!("  none                      {}", share(missed)));
    line(format!("false blame                 {}", share(board.false_blame())));
    line(format!("innocent of those cleared   {}", share(board.cleared())));
    line(format!("configuration keys recall   {}", share(board.key_recall())));
    line(format!("configuration keys precise  {}", share(board.key_precision())));
    line(format!("keys named where none known {:>4}", board.keys_unasked()));
    line(format!("values invented             {:>4}", board.invented()));
    line(format!(
        "harmful offers              {}",
        share(Share::of(board.count(|one| one.harmful_offer), count))
    ));
    line(format!(
        "missed offers               {}",
        share(Share::of(board.count(|one| one.missed_offer), count))
    ));
    for (name, hits) in [
        ("above the truth's maximum   ", board.count(|one| one.overconfident)),
        ("below the truth's minimum   ", board.count(|one| one.underconfident)),
    ] {
        line(format!("{name}{}", share(Share::of(hits, count))));
    }
    let (coverage, confident) = board.confident();
    line(format!("answers at 0.8 and more     {}", share(coverage)));
    line(format!("  right of these            {}", share(confident)));
    line(format!("Brier score                 {:.4}  (0 perfect, 2 certain and wrong)", board.brier()));
    line(format!("expected calibration error  {:.4}", board.calibration_error()));
    let seconds = board.time().as_secs_f64();
    line(format!(
        "time                        {seconds:.2} s, {:.1} ms a bundle",
        seconds * 1000.0 / count.max(1) as f64
    ));
    line(String::new());
    line("confidence      verdicts   mean confidence   right".to_owned());
    for band in board.bands() {
        line(format!(
            "{:.1} to {:.1} {:>14} {:>15.2} {:>11.2}",
            band.from, band.to, band.count, band.confidence, band.right
        ));
    }
    line(String::new());
    line("naive rules beside it".to_owned());
    line(format!(
        "nearest deployment, 30 min  {}",
        share(Share::of(board.count(|one| one.nearest_right), count))
    ));
    line(format!(
        "  its harmful offers        {}",
        share(Share::of(board.count(|one| one.nearest_harmful), count))
    ));
    line(format!(
        "always unknown              {}",
        share(Share::of(board.count(|one| one.unknown_right), count))
    ));
    let told: Vec<&Scored> = board.scored.iter().filter(|one| remark(one).is_some()).collect();
    if !told.is_empty() {
        line(String::new());
        line("to look at".to_owned());
        for one in told {
            if let Some(remark) = remark(one) {
                line(format!("  {}: {remark}", one.name));
            }
        }
    }
    out
}

/// What is wrong with one, if anything is.
fn remark(one: &Scored) -> Option<String> {
    let mut remarks = Vec::new();
    if let Some(error) = &one.failed {
        remarks.push(format!("could not be read and counts as wrong: {error}"));
    } else if !one.right {
        let causes: Vec<&str> = one.truth.cause.iter().map(|cause| cause.as_str()).collect();
        let said = one.said.map_or("nothing", |cause| cause.as_str());
        let event = one.event_id.as_deref().map(|id| format!(" {id}")).unwrap_or_default();
        remarks.push(format!("said {said}{event} at {:.2}, truth {}", one.confidence, causes.join(" or ")));
    }
    if one.failed.is_none() && one.right && one.keys_found < one.truth.config_keys.len() {
        remarks.push(format!("keys {:?} instead of {:?}", one.keys, one.truth.config_keys));
    } else if one.keys_extra > 0 {
        remarks.push(format!(
            "{} keys too many: {:?} for {:?}",
            one.keys_extra, one.keys, one.truth.config_keys
        ));
    }
    if !one.invented.is_empty() {
        remarks.push(format!("no file shows {}", one.invented.join(", ")));
    }
    if one.harmful_offer {
        remarks.push("harmful offer".to_owned());
    }
    if one.missed_offer {
        remarks.push(format!("missed offer ({})", one.action.map_or("none", action)));
    }
    if one.overconfident {
        remarks.push(format!(
            "{:.2} is more than the evidence allows ({})",
            one.confidence, one.truth.max_confidence
        ));
    }
    if one.underconfident {
        remarks.push(format!(
            "{:.2} is less than the evidence gives ({})",
            one.confidence, one.truth.min_confidence
        ));
    }
    (!remarks.is_empty()).then(|| remarks.join("; "))
}

fn action(kind: ActionKind) -> &'static str {
    match kind {
        ActionKind::Rollback => "rollback",
        ActionKind::RollForward => "roll_forward",
        ActionKind::Escalate => "escalate",
        ActionKind::Watch => "watch",
    }
}

pub fn json(board: &Scoreboard) -> Value {
    let of = |share: Share| json!({"hits": share.hits, "of": share.of, "share": share.value(), "low": share.low, "high": share.high});
    let count = board.scored.len();
    let (coverage, confident) = board.confident();
    let (named, another, none) = board.named_change();
    let causes: serde_json::Map<String, Value> =
        board.by_cause().into_iter().map(|(cause, right)| (cause.as_str().to_owned(), of(right))).collect();
    let bands: Vec<Value> = board
        .bands()
        .iter()
        .map(|band| json!({"from": band.from, "to": band.to, "count": band.count, "confidence": band.confidence, "right": band.right}))
        .collect();
    let bundles: Vec<Value> = board
        .scored
        .iter()
        .map(|one| {
            json!({
                "name": one.name,
                "right": one.right,
                "said": one.said.map(crate::domain::report::Cause::as_str),
                "event_id": one.event_id,
                "confidence": one.confidence,
                "action": one.action.map(action),
                "keys": one.keys,
                "milliseconds": one.took.as_secs_f64() * 1000.0,
                "error": one.failed,
                "remark": remark(one),
            })
        })
        .collect();
    json!({
        "bundles": count,
        "right": of(board.right()),
        "by_cause": causes,
        "named_change": { "right": of(named), "another": of(another), "none": of(none) },
        "false_blame": of(board.false_blame()),
        "innocent_of_cleared": of(board.cleared()),
        "config_keys": {
            "recall": of(board.key_recall()),
            "precision": of(board.key_precision()),
            "unasked": board.keys_unasked(),
            "values_invented": board.invented(),
        },
        "harmful_offers": board.count(|one| one.harmful_offer),
        "missed_offers": board.count(|one| one.missed_offer),
        "above_maximum": board.count(|one| one.overconfident),
        "below_minimum": board.count(|one| one.underconfident),
        "coverage_at_0_8": of(coverage),
        "right_at_0_8": of(confident),
        "brier": board.brier(),
        "expected_calibration_error": board.calibration_error(),
        "reliability": bands,
        "naive": {
            "nearest_deployment_30_min": of(Share::of(board.count(|one| one.nearest_right), count)),
            "nearest_deployment_harmful_offers": board.count(|one| one.nearest_harmful),
            "always_unknown": of(Share::of(board.count(|one| one.unknown_right), count)),
        },
        "seconds": board.time().as_secs_f64(),
        "each": bundles,
    })
}
