//! What the parts of a message say together, whatever the sentence: a dated thing past its date, an answer
//! with its status, an AWS client's exception with its service, numbers that meet.
//!
//! The rule that is not obvious: a number is a status only where somebody answers with it. `order 503` is an order.

use super::lexicon;
use super::phrases::Mechanism;
use super::validity;
use super::wording::Wording;

/// `text` in small letters, and its words.
pub(super) fn mechanism(text: &str, said: &Wording) -> Option<Mechanism> {
    if validity::is_past(text, said) {
        return Some(Mechanism::Expired);
    }
    if numbers_used_up(said) || lexicon::is_allowance_used_up(said) {
        return Some(Mechanism::Handles);
    }
    // A page where data was asked for: whoever stands before the other answers in its place.
    let page = [
        "<html",
        "<!doctype",
        "token '<'",
        "token <",
        "'<' is an invalid start",
        "character '<' looking",
        "got text/html",
        "text/html instead",
    ];
    if page.iter().any(|sign| text.contains(sign)) {
        return Some(Mechanism::Upstream);
    }
    if cut_off_by_the_platform(text) {
        return Some(Mechanism::FunctionTimeout);
    }
    of_aws(text, said).or_else(|| waits(said)).or_else(|| answered(text, said))
}

/// `Task timed out after 2.00 seconds` is Lambda's own line, at its beginning or behind the request's id. A
/// `background task` is somebody else's.
fn cut_off_by_the_platform(text: &str) -> bool {
    let Some((before, after)) = text.split_once("task timed out after ") else { return false };
    let by_whom = before.rsplit(' ').find(|word| !word.is_empty());
    let hundredths = after
        .split(' ')
        .next()
        .is_some_and(|time| time.rsplit_once('.').is_some_and(|(_, decimals)| decimals.len() == 2));
    hundredths && by_whom.is_none_or(|word| word.contains(|letter: char| letter.is_ascii_digit()))
}

/// `KeyError: 'LEDGER_URL'`: a name in capitals is a variable of the environment.
pub(super) fn lacks_a_variable(text: &str) -> bool {
    ["KeyError: '", "KeyError: \"", "key not found: \""].iter().any(|head| {
        let name = text.split_once(head).and_then(|(_, rest)| rest.split(['\'', '"']).next()).unwrap_or("");
        name.len() > 3
            && name.contains('_')
            && name.bytes().all(|byte| byte.is_ascii_uppercase() || byte.is_ascii_digit() || byte == b'_')
    })
}

/// What an AWS service answers.
fn of_aws(text: &str, said: &Wording) -> Option<Mechanism> {
    if !speaks_of_aws(text, said) {
        return None;
    }
    // A refusal is somebody's permission, whatever else the sentence holds.
    if said.any(&[
        "access denied",
        "not authorized",
        "explicit deny",
        "status code 403",
        "unrecognized client",
        "invalid client token id",
    ]) {
        return Some(Mechanism::Access);
    }
    if said.any(&[
        "quota|allowance|credits .. reached|exceeded|exhausted|used|consumed|depleted !second !minute",
    ]) {
        return Some(Mechanism::Handles);
    }
    if said.any(&[
        "throttl*",
        "rate exceeded",
        "slow down",
        "provisioned throughput",
        "request limit exceeded",
    ]) {
        return Some(Mechanism::Throttled);
    }
    let fails = said.any(&[
        "internal ..2 error|failure|fault|exception",
        "service unavailable",
        "temporarily unavailable",
        "status code 500|502|503|504",
        "statuscode|status 500|502|503|504",
        "degraded",
        "elevated ..2 error|errors",
    ]);
    (fails && answers_for_itself(text, said)).then_some(Mechanism::Provider)
}

/// The names by which AWS's services are called in an error.
const AWS: &[&str] = &[
    "aws|amazonaws|kms|dynamodb|sqs|sns|s3|kinesis|secretsmanager|eventbridge|cognito|sts|ssm|firehose|sfn|elasticache|rds",
    "dynamo db",
    "amazon dynamo*|s3|sqs|sns|kinesis|sqsv2",
    "secrets manager",
    "event bridge",
    "step functions",
    "parameter store",
];

/// Whether an AWS service is spoken of: the SDKs' `(Service: X; Status Code: N; …)`, `An error occurred (X)
/// when calling the Y operation`, `operation error S3: PutObject`, or its name.
pub(super) fn speaks_of_aws(text: &str, said: &Wording) -> bool {
    sdk_reports(text) || said.any(AWS)
}

fn sdk_reports(text: &str) -> bool {
    text.contains("(service:")
        || text.contains("an error occurred (") && text.contains("when calling the")
        || text.contains("operation error ") && text.contains("https response error")
}

/// The failure is the service's own: its client says so, or nobody here stands between its name and the failure. A
/// consumer of a queue has internal errors of its own.
fn answers_for_itself(text: &str, said: &Wording) -> bool {
    sdk_reports(text)
        || !said.any(&[
            "consumer|listener|handler|worker|processor|poller|subscriber|our|we|lambda|proxy|gateway",
        ])
}

/// A sequence of identifiers at the end of its type: nothing that a release does, it has been counting for years.
fn numbers_used_up(said: &Wording) -> bool {
    let counts = said.any(&[
        "sequence|nextval|seq|identity|autoincrement|serial|bigserial !json !number",
        "auto increment",
        "duplicate entry .. primary",
        "id|ids|identifier|identifiers|key|oid ..6 integer|int|int4|int32|bigint|smallint",
        "integer|int|int4|int32|bigint|smallint ..6 id|ids|identifier|identifiers|oid",
    ]);
    // The greatest of 15, 16, 31, 32, 63 and 64 bits, and what comes right after 31.
    let at_the_end = said.words().iter().any(|word| {
        matches!(word.as_str(), "4294967295" | "9223372036854775807" | "18446744073709551615")
            || word.parse::<u64>().is_ok_and(|number| (2_147_483_647..2_148_000_000).contains(&number))
    });
    counts && at_the_end
        || said.any(&[
            "sequence|seq|nextval|identity|serial|bigserial ..6 maximum|max|maxvalue|exhausted|overflow|overflowed|limit !steps !retry !number !json",
            "reached|exceeds|exceeded|past|at ..4 maximum|max|maxvalue|end ..5 sequence|seq|identity|nextval",
            "converting identity to",
            "integer|bigint|smallint|int4|int8|int2 out of range",
            "exceeds maxvalue",
            "out of range value for column id",
        ])
}

/// Who waits in vain: for a connection of a pool, or for an answer.
fn waits(said: &Wording) -> Option<Mechanism> {
    let asks = said.any(&[
        "acquir*|obtain*|borrow*|checkout|lease|leasing|get|getting|fetch|fetching ..5 connection|connections|session|socket|channel|client|conn",
        "check|checking|checked out ..4 connection|session|socket|channel|client|conn",
        "connection|session|socket|conn|client acquir*|checkout|borrow|lease|acquisition",
        "acquir*|obtain*|borrow*|get|getting|fetch*|take ..3 from ..2 pool",
    ]);
    let in_vain = said.any(&[
        "unable|could|couldn't|cannot|can't|failed|fails|failing|failure|timed|timeout|waiting|waited|no|not|none|gave|exceeded|prior",
    ]);
    // What does not get through to a host, or is not let in, is another matter.
    let of_the_way = said.any(&[
        "refused|unreachable|reset|lock|locks|handshake|resolve|authentication|password|denied|certificate|closed",
        "no route",
        "login failed",
        "unknown host|database",
    ]);
    if asks && in_vain && !of_the_way || all_taken(said) {
        return Some(Mechanism::Pool);
    }
    let silent = said.any(&[
        "did not|didn't|does not|doesn't ..2 answer|respond|reply|finish|complete|return|arrive|come|acknowledge|ack|react|start|end",
        "no ..2 item|response|reply|answer|ack|acknowledgement|bytes|data|message|heartbeat|result",
        "nothing ..3 within|after|from|in|for",
        "within|after|in|for ..3 nothing",
    ]);
    (silent && lasts(said)).then_some(Mechanism::Timeout)
}

/// `within 4000 ms`, `after 5s`, `in time`.
fn lasts(said: &Wording) -> bool {
    const UNITS: [&str; 12] =
        ["ms", "millis", "milliseconds", "s", "sec", "secs", "second", "seconds", "m", "min", "minutes", "h"];
    let is_unit = |word: &str| UNITS.contains(&word);
    said.any(&["in time"])
        || said.words().windows(4).any(|part| {
            let opens = matches!(part[0].as_str(), "within" | "after" | "in" | "for");
            opens
                && (1..3).any(|at| {
                    let digits = part[at].bytes().take_while(u8::is_ascii_digit).count();
                    let (number, rest) = part[at].split_at(digits);
                    !number.is_empty() && (is_unit(rest) || rest.is_empty() && is_unit(&part[at + 1]))
                })
        })
        || said.words().last_chunk::<2>().is_some_and(|[opens, time]| {
            let digits = time.bytes().take_while(u8::is_ascii_digit).count();
            matches!(opens.as_str(), "within" | "after" | "in" | "for")
                && digits > 0
                && is_unit(time.get(digits..).unwrap_or(""))
        })
        || said.words().last_chunk::<3>().is_some_and(|[opens, number, unit]| {
            matches!(opens.as_str(), "within" | "after" | "in" | "for")
                && number.bytes().all(|byte| byte.is_ascii_digit())
                && is_unit(unit)
        })
}

/// As many taken as there are: `9 of 9 in use`, `12/12 busy`, `total=12, active=12`.
fn all_taken(said: &Wording) -> bool {
    let words = said.words();
    let number = |word: &String| word.parse::<u32>().ok().filter(|number| *number > 0);
    let same = |a: &String, b: &String| number(a).is_some() && number(a) == number(b);
    let pair = (0..words.len()).any(|at| {
        let of = words.get(at + 1).is_some_and(|word| word == "of" || word == "out");
        let second = if of { at + 2 } else { at + 1 };
        let after = if words.get(second).is_some_and(|word| word == "of") { second + 1 } else { second };
        words.get(after).is_some_and(|other| same(&words[at], other))
            && words.get(after + 1..words.len().min(after + 5)).into_iter().flatten().any(|word| {
                matches!(
                    word.as_str(),
                    "use"
                        | "busy"
                        | "taken"
                        | "checked"
                        | "borrowed"
                        | "leased"
                        | "occupied"
                        | "waiting"
                        | "used"
                )
            })
    });
    let labelled =
        |label: &str| words.windows(2).find(|part| part[0] == label).and_then(|part| number(&part[1]));
    let total = labelled("total").or_else(|| labelled("size")).or_else(|| labelled("max"));
    let active = labelled("active").or_else(|| labelled("busy")).or_else(|| labelled("used"));
    pair || total.is_some() && total == active && said.any(&["waiting|pending|pool|connection|connections"])
}

/// Somebody answered with a status.
fn answered(text: &str, said: &Wording) -> Option<Mechanism> {
    // A proxy before the service calls the service itself its upstream.
    let proxy = ["server: ", "while reading response header", "to upstream", "from upstream"];
    if text.contains("upstream") && proxy.iter().any(|part| text.contains(part)) {
        let late = said.any(&["timed|timeout"]);
        return Some(if late { Mechanism::Timeout } else { Mechanism::Unreachable });
    }
    // The word names nobody and may mean the service's own tasks: only an answer makes it another's failure.
    if said.any(&[
        "upstream ..6 returned|responded|answered|rejected|unavailable|unhealthy",
        "error from ..3 upstream",
    ]) {
        return Some(Mechanism::Upstream);
    }
    // A breaker that stands open has counted somebody's failures.
    if said.any(&["circuit ..6 open|opened|tripped"]) {
        return Some(Mechanism::Upstream);
    }
    match status(text)? {
        500..=504 | 507..=509 => Some(Mechanism::Upstream),
        401 | 403 => Some(Mechanism::Access),
        429 => Some(Mechanism::Throttled),
        400 | 406 | 413 | 415 | 422 => Some(Mechanism::Contract),
        _ => None,
    }
}

/// The status that somebody answered with: a number of three digits behind a word for answering or for a status, before
/// its own reason, or alone behind a colon at the end.
pub(super) fn status(text: &str) -> Option<u16> {
    const BEFORE: [&str; 21] = [
        "status",
        "code",
        "statuscode",
        "http",
        "returned",
        "responded",
        "answered",
        "replied",
        "got",
        "received",
        "respond",
        "return",
        "with",
        "response",
        "error",
        "returns",
        "status_code",
        "answers",
        "gave",
        "an",
        "was",
    ];
    const BEHIND: [&str; 14] = [
        "internal",
        "bad",
        "service",
        "gateway",
        "unauthorized",
        "forbidden",
        "too",
        "error",
        "errors",
        "server",
        "response",
        "responses",
        "unprocessable",
        "conflict",
    ];
    let bytes = text.as_bytes();
    (0..bytes.len()).find_map(|at| {
        let end = at + 3;
        let number: u16 = text.get(at..end)?.parse().ok().filter(|number| (400..600).contains(number))?;
        let joined = |byte: Option<&u8>| {
            byte.is_some_and(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-' | b'.' | b'#'))
        };
        let before = at.checked_sub(1).and_then(|index| bytes.get(index));
        let behind = bytes.get(end);
        let decimal = behind == Some(&b'.') && bytes.get(end + 1).is_some_and(u8::is_ascii_digit);
        if joined(before)
            || decimal
            || behind.is_some_and(|byte| byte.is_ascii_alphanumeric() || *byte == b'_')
        {
            return None;
        }
        let (head, tail) = (text.get(..at)?, text.get(end..)?);
        let word = head
            .rsplit(|letter: char| !(letter.is_alphanumeric() || letter == '_'))
            .find(|word| !word.is_empty())
            .unwrap_or("");
        let spoken = head.trim_end_matches([' ', ':', '=', '(', '[', '"', '\'', '{']).ends_with(word);
        let next = tail.trim_start_matches([' ', ':', ')', ']', '-', ',', '"']);
        let next = next.split(|letter: char| !letter.is_alphanumeric()).next().unwrap_or("");
        let unit =
            ["ms", "s", "sec", "seconds", "bytes", "items", "rows", "records", "mb", "kb"].contains(&next);
        let answer = BEFORE.contains(&word) && spoken || version_of_http(head);
        let reason = BEHIND.contains(&next);
        let ends = tail.trim_matches(['.', ' ', ')', ']', '"', '\'']).is_empty()
            && head.trim_end().ends_with([':', '[']);
        let opens = head.is_empty() || head.ends_with('[') && tail.starts_with(']');
        (!unit && (answer || reason || ends || opens)).then_some(number)
    })
}

/// `"GET /a HTTP/1.1" 502`.
fn version_of_http(head: &str) -> bool {
    let head = head.trim_end_matches([' ', '"']);
    ["http/1.0", "http/1.1", "http/2", "http/2.0", "http/3"].iter().any(|version| head.ends_with(version))
}
