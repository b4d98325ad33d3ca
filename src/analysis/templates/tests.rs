//! All lines here are made up.

use proptest::prelude::*;

use super::*;

fn mine(lines: &[&str]) -> Vec<String> {
    let mut miner = Miner::default();
    let ids: Vec<TemplateId> = lines.iter().map(|line| miner.learn(line)).collect();
    miner.settle();
    ids.into_iter().map(|id| miner.template(id)).collect()
}

/// The template of the last line.
fn last(lines: &[&str]) -> String {
    mine(lines).pop().unwrap_or_default()
}

fn assert_one_template(lines: &[String], text: &str) {
    let lines: Vec<&str> = lines.iter().map(String::as_str).collect();
    for template in mine(&lines) {
        assert_eq!(template, text);
    }
}

#[test]
fn what_carries_a_digit_or_names_a_place_is_a_variable() {
    assert_eq!(
        last(&["stored parcel 4711 at /srv/parcels/a for 10.1.2.3:80"]),
        "stored parcel <*> at <*> for <*>"
    );
    assert_eq!(last(&["lease 0x7f3e given to dock-9.yard.example.org:7070"]), "lease <*> given to <*>");
    assert_eq!(last(&["mail for ada@example.org bounced"]), "mail for <*> bounced");
    assert_eq!(last(&["took 5.2 KB in 30 ms"]), "took <*> in <*>");
}

#[test]
fn lists_of_numbers_are_one_variable_whatever_their_length() {
    assert_one_template(&["slots 1 2 3 free".into(), "slots 4, 5 free".into()], "slots <*> free");
}

#[test]
fn the_letters_of_a_numbered_thing_stay() {
    assert_eq!(mine(&["port eth0 up", "port wlan1 up"]), ["port eth<*> up", "port wlan<*> up"]);
}

#[test]
fn few_words_in_one_place_are_kinds_of_event() {
    let lines =
        ["valve opened by plan", "valve closed by plan", "valve opened by plan", "valve stuck by plan"];
    assert_eq!(mine(&lines), lines);
}

#[test]
fn many_words_in_one_place_are_values() {
    let cargo = ["tea", "rice", "salt", "wool", "iron", "silk", "cork", "jute"];
    let lines: Vec<String> = cargo.iter().map(|cargo| format!("loaded crate with {cargo} on deck")).collect();
    assert_one_template(&lines, "loaded crate with <*> on deck");
}

#[test]
fn a_noun_that_announces_a_name_needs_only_two() {
    assert_one_template(
        &["gate opened for user ada at dawn".into(), "gate opened for user bert at dawn".into()],
        "gate opened for user <*> at dawn",
    );
}

#[test]
fn a_place_that_holds_identifiers_takes_rare_words_too() {
    let mut lines: Vec<String> = (0..9).map(|n| format!("moored at berth q{n}-west since noon")).collect();
    lines.push("moored at berth anchorage since noon".into());
    assert_one_template(&lines, "moored at berth <*> since noon");
}

#[test]
fn several_places_that_are_new_in_every_line_are_values() {
    let word =
        |n: u32| -> String { (0..6).map(|at| char::from(b'a' + ((n >> (at * 2)) % 7) as u8)).collect() };
    let lines: Vec<String> = (0..300)
        .map(|n| format!("swapped {} against {} yesterday", word(n * 7919), word(n * 104_729 + 5)))
        .collect();
    assert_one_template(&lines, "swapped <*> against <*> yesterday");
}

#[test]
fn independent_values_behind_keys_do_not_multiply_templates() {
    let mut lines = Vec::new();
    for crew in ["red", "blue", "green"] {
        for shift in ["early", "late"] {
            lines.push(format!("crane idle crew={crew} shift={shift}"));
        }
    }
    assert_one_template(&lines, "crane idle crew=<*> shift=<*>");
}

#[test]
fn one_of_two_words_behind_a_key_is_part_of_the_event() {
    let lines = ["refused entry role=pilot", "refused entry role=cook"];
    assert_eq!(mine(&lines), lines);
}

#[test]
fn the_header_of_raw_lines_does_not_split_templates() {
    let components = ["yard.Crane", "yard.Lift", "dock.Gate", "dock.Ramp"];
    let levels = ["INFO", "WARN"];
    let messages = ["motor is warm", "brake released after pause", "no load found", "cable wound up"];
    let lines: Vec<String> = (0..64)
        .map(|n| {
            let (component, level, message) = (components[n % 4], levels[n / 4 % 2], messages[n / 8 % 4]);
            format!("2031-05-06 07:08:{:02},123 host-{n} {level} [worker {n}] {component}: {message}", n % 60)
        })
        .collect();
    let texts: std::collections::BTreeSet<String> =
        mine(&lines.iter().map(String::as_str).collect::<Vec<_>>()).into_iter().collect();
    let expected: std::collections::BTreeSet<String> =
        messages.iter().map(|message| format!("<*> {message}")).collect();
    assert_eq!(texts, expected);
}

#[test]
fn syslog_headers_with_a_blank_in_the_component_are_found() {
    let mut lines: Vec<String> =
        (0..30).map(|n| format!("Mar 3 07:08:{n:02} pier crane{}[{n}]: hook lowered", n % 3)).collect();
    lines.push("Mar 3 07:09:00 pier logd 1.4.1: restart.".into());
    let texts = mine(&lines.iter().map(String::as_str).collect::<Vec<_>>());
    assert_eq!(texts.first().map(String::as_str), Some("<*> hook lowered"));
    assert_eq!(texts.last().map(String::as_str), Some("<*> restart."));
}

#[test]
fn formats_of_a_mixed_log_have_headers_of_their_own() {
    let mut lines = Vec::new();
    for n in 0..40 {
        let (who, level) = (["Crane", "Lift"][n % 2], ["INFO", "WARN"][n / 2 % 2]);
        lines.push(format!("2031-05-06 07:08:{n:02} {level} yard.{who}: motor is warm"));
        lines.push(format!("[07/05/31 07:08:{n:02}] {who} - rope wound up"));
        lines.push(format!("2031/05/06-07:08:{n:02}|{who}|{level}|gate shut"));
    }
    let texts: std::collections::BTreeSet<String> =
        mine(&lines.iter().map(String::as_str).collect::<Vec<_>>()).into_iter().collect();
    assert_eq!(
        texts.into_iter().collect::<Vec<_>>(),
        ["<*> gate shut", "<*> motor is warm", "<*> rope wound up"]
    );
}

#[test]
fn an_address_that_begins_the_message_is_no_header() {
    let lines: Vec<String> = (0..40)
        .map(|n| {
            let from = if n % 20 == 0 { "nobody".into() } else { format!("10.1.2.{n}:80") };
            format!("[07/05/31 07:08:{n:02}] crane - {from} asked for rope")
        })
        .collect();
    let texts = mine(&lines.iter().map(String::as_str).collect::<Vec<_>>());
    assert_eq!(texts[0], "<*> nobody asked for rope");
    assert_eq!(texts[1], "<*> <*> asked for rope");
}

#[test]
fn messages_without_header_stay_whole() {
    let lines: Vec<String> = (0..40).map(|n| format!("hook {n} lowered slowly")).collect();
    assert_one_template(&lines, "hook <*> lowered slowly");
}

#[test]
fn the_first_words_behind_a_level_are_no_header() {
    let lines: Vec<String> = (0..40)
        .map(|n| {
            format!("2031-05-06T07:08:{n:02}Z INFO parcel weighed [dock={} took_ms={n}]", ["a", "b"][n % 2])
        })
        .collect();
    let texts = mine(&lines.iter().map(String::as_str).collect::<Vec<_>>());
    assert!(texts.iter().all(|text| text.starts_with("<*> parcel weighed [dock=")), "{texts:?}");
}

#[test]
fn json_lines_are_their_message_and_their_keys() {
    let texts = mine(&[
        r#"{"level":"info","message":"parcel 5 weighed","kg":7}"#,
        r#"{"kg":9.5,"message":"parcel 6 weighed","level":"warn"}"#,
        r#"{"message":"parcel 6 weighed"}"#,
    ]);
    assert_eq!(texts[0], r#"{"level": <*>, "message": "parcel <*> weighed", "kg": <*>}"#);
    assert_eq!(texts[1], texts[0]);
    assert_eq!(texts[2], r#"{"message": "parcel <*> weighed"}"#);
}

#[test]
fn json_that_is_cut_off_is_plain_text() {
    assert_eq!(last(&[r#"{"message":"parcel 5 "#]), r#"{"message":"parcel <*>"#);
}

#[test]
fn logfmt_messages_are_cut_like_sentences() {
    let texts =
        mine(&[r#"ts=2031-05-06 msg="parcel 5 weighed" kg=7"#, r#"ts=2031-05-07 msg="parcel 6 lost" kg=8"#]);
    assert_eq!(
        texts,
        [r#"ts=<*> msg="parcel <*> weighed" kg=<*>"#, r#"ts=<*> msg="parcel <*> lost" kg=<*>"#]
    );
}

#[test]
fn frames_of_a_stack_trace_are_one_template_and_the_error_is_its_own() {
    let texts = mine(&[
        "yard.CraneFault: no power",
        "\tat yard.Crane.lift(Crane.java:42)",
        "\tat yard.Shift.run(Shift.java:7)",
    ]);
    assert_eq!(texts, ["yard.CraneFault: no power", "at <*>", "at <*>"]);
}

#[test]
fn the_first_line_of_an_event_with_several_speaks() {
    assert_eq!(mine(&["no power\n  at yard.Crane", "no power"]), ["no power", "no power"]);
}

#[test]
fn shapes_beyond_the_limit_are_counted_under_one_template() {
    let mut miner = Miner::new(Options { max_shapes: 10, ..Options::default() });
    let word = |n: usize| "abcdefghijklmnopqrstuvwxyz".chars().cycle().skip(n).take(3).collect::<String>();
    let ids: Vec<TemplateId> = (0..26).map(|n| miner.learn(vec![word(n); n + 1].join(" "))).collect();
    miner.settle();
    assert!(miner.len() <= 11);
    assert_eq!(miner.template(ids[25]), "<*>");
    assert_eq!(miner.templates().iter().map(|template| template.count).sum::<u64>(), 26);
}

#[test]
fn counts_and_places_of_a_template_cover_all_its_shapes() {
    let mut miner = Miner::default();
    for name in ["ada", "bert", "carl", "ada"] {
        miner.learn(format!("gate opened for user {name} at dawn"));
    }
    miner.learn("gate shut");
    miner.settle();
    let templates = miner.templates();
    let summary: Vec<_> =
        templates.iter().map(|known| (known.text.as_str(), known.count, known.first, known.last)).collect();
    assert_eq!(summary, [("gate opened for user <*> at dawn", 4, 1, 4), ("gate shut", 1, 5, 5)]);
}

#[test]
fn a_new_value_in_a_known_place_costs_no_shape() {
    let mut miner = Miner::default();
    for name in ["ada", "bert", "carl"] {
        miner.learn(format!("gate opened for user {name} at dawn"));
    }
    miner.settle();
    let shapes = miner.shapes.len();
    let words = miner.words.texts.len();
    for name in ["dora", "emil", "fritz", "gerda"] {
        let id = miner.learn(format!("gate opened for user {name} at dawn"));
        assert_eq!(miner.template(id), "gate opened for user <*> at dawn");
    }
    assert_eq!((miner.shapes.len(), miner.words.texts.len()), (shapes, words));
}

#[test]
fn an_empty_log_has_no_template() {
    let mut miner = Miner::default();
    miner.settle();
    assert!(miner.is_empty());
    assert_eq!(miner.len(), 0);
    assert_eq!(miner.template(TemplateId(7)), "");
}

fn any_line() -> impl Strategy<Value = Vec<u8>> {
    let piece = prop_oneof![
        proptest::collection::vec(any::<u8>(), 0..12),
        Just(b"{\"message\":\"".to_vec()),
        Just(b"\\u12\"}".to_vec()),
        Just(b"k=\"".to_vec()),
        Just(b"[[".to_vec()),
        Just(b"a...".to_vec()),
        Just(b"2031-05-06 07:08:09 INFO ".to_vec()),
        Just(b" - ".to_vec()),
        Just(b"<1 ".to_vec()),
        Just("µ=ß ".as_bytes().to_vec()),
        "[a-c]{1,3} ".prop_map(String::into_bytes),
    ];
    proptest::collection::vec(piece, 0..12).prop_map(|pieces| pieces.concat())
}

proptest! {
    #[test]
    fn any_bytes_get_a_template_and_every_line_is_counted(lines in proptest::collection::vec(any_line(), 0..60)) {
        let mut miner = Miner::new(Options { max_shapes: 20, ..Options::default() });
        let mut ids = Vec::new();
        for (at, line) in lines.iter().enumerate() {
            ids.push(miner.learn(line));
            if at % 17 == 16 {
                miner.settle();
            }
        }
        miner.settle();
        let templates = miner.templates();
        prop_assert_eq!(templates.iter().map(|template| template.count).sum::<u64>(), lines.len() as u64);
        for id in ids {
            let root = miner.resolve(id);
            prop_assert!(templates.iter().any(|template| template.id == root));
        }
    }

    #[test]
    fn the_same_line_always_has_the_same_template(line in any_line(), others in proptest::collection::vec(any_line(), 0..30)) {
        let mut miner = Miner::default();
        let first = miner.learn(&line);
        for other in &others {
            miner.learn(other);
        }
        miner.settle();
        let again = miner.learn(&line);
        miner.settle();
        prop_assert_eq!(miner.resolve(first), miner.resolve(again));
    }

    #[test]
    fn mining_twice_gives_the_same(lines in proptest::collection::vec(any_line(), 0..40)) {
        let mine = || {
            let mut miner = Miner::default();
            for line in &lines {
                miner.learn(line);
            }
            miner.settle();
            miner.templates()
        };
        prop_assert_eq!(mine(), mine());
    }
}
