//! Logs Insights: queries that are scheduled, run and end, and what they compute.
//!
//! Rule: a query's state follows from the world's clock when somebody asks for it.

use std::borrow::Cow;
use std::collections::{BTreeMap, VecDeque};

use jiff::Timestamp;
use serde_json::{Value, json};

use super::insights_language::{Aggregate, Command, Condition, Function, Grouping, Operand, parse};
use super::logs::{Line, group_name};
use super::wire::{Answer, ApiError};
use super::world::{Call, State};

/// Queries that run at once.
const CONCURRENT: usize = 100;

/// How a query ends, where a test decides.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum QueryEnd {
    Complete,
    Failed,
    Timeout,
    /// It runs and never ends.
    Never,
}

#[derive(Debug)]
struct Query {
    commands: Vec<Command>,
    groups: Vec<String>,
    /// Inclusive, in ms.
    window: (i64, i64),
    limit: usize,
    started: Timestamp,
    end: QueryEnd,
    cancelled: bool,
}

#[derive(Debug, Default)]
pub struct Queries {
    by_id: BTreeMap<String, Query>,
    script: VecDeque<QueryEnd>,
    /// Lines from this moment on are not indexed yet, though `FilterLogEvents` shows them.
    pub unindexed_from: Option<Timestamp>,
    /// How many ran at once at most.
    pub most_at_once: usize,
}

impl Queries {
    pub fn script(&mut self, ends: impl IntoIterator<Item = QueryEnd>) {
        self.script.extend(ends);
    }
}

fn invalid(message: impl Into<String>) -> ApiError {
    ApiError::new(400, "InvalidParameterException", message)
}

fn status(query: &Query, state: &State, now: Timestamp) -> &'static str {
    let scheduled = query.started + state.options.insights_scheduled;
    let done = scheduled + state.options.insights_time;
    if query.cancelled {
        "Cancelled"
    } else if now < scheduled {
        "Scheduled"
    } else if now < done || query.end == QueryEnd::Never {
        "Running"
    } else {
        match query.end {
            QueryEnd::Failed => "Failed",
            QueryEnd::Timeout => "Timeout",
            QueryEnd::Complete | QueryEnd::Never => "Complete",
        }
    }
}

/// # Errors
/// `MalformedQueryException`, `ResourceNotFoundException`, `LimitExceededException`.
pub fn start_query(state: &mut State, call: &Call) -> Result<Answer, ApiError> {
    let text = call.text("queryString").ok_or_else(|| invalid("queryString is required"))?;
    let commands = parse(text).map_err(|why| {
        ApiError::new(
            400,
            "MalformedQueryException",
            format!("unexpected symbol found or not computed here: {why}"),
        )
    })?;
    let mut groups: Vec<String> = call.text("logGroupName").map(str::to_owned).into_iter().collect();
    for key in ["logGroupNames", "logGroupIdentifiers"] {
        let names =
            call.input.get(key).and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_str);
        groups.extend(names.map(|name| group_name(name).to_owned()));
    }
    if groups.is_empty() || groups.len() > 50 {
        return Err(invalid("1 to 50 log groups are required"));
    }
    for group in &groups {
        state.logs.group(group)?;
    }
    let (Some(start), Some(end)) = (call.integer("startTime"), call.integer("endTime")) else {
        return Err(invalid("startTime and endTime are required"));
    };
    // Milliseconds would be a time far in the future: AWS refuses a range that is over before it begins.
    if start > end || end > 100_000_000_000 {
        return Err(ApiError::new(
            400,
            "MalformedQueryException",
            "Query's end date and time is either before the log groups creation time or exceeds the log groups log retention settings",
        ));
    }
    let now = call.at;
    let running = state
        .queries
        .by_id
        .values()
        .filter(|query| matches!(status(query, state, now), "Scheduled" | "Running"));
    let running = running.count();
    if running >= CONCURRENT {
        return Err(ApiError::new(
            400,
            "LimitExceededException",
            "Account maximum query concurrency limit of [100] reached.",
        ));
    }
    state.queries.most_at_once = state.queries.most_at_once.max(running + 1);
    let rows = state.options.insights_rows;
    let limit = call
        .integer("limit")
        .and_then(|limit| usize::try_from(limit).ok())
        .map_or(rows, |limit| limit.min(rows));
    let id = state.next_id();
    let end_of_query = state.queries.script.pop_front().unwrap_or(QueryEnd::Complete);
    let query = Query {
        commands,
        groups,
        window: (start * 1000, end * 1000 + 999),
        limit,
        started: now,
        end: end_of_query,
        cancelled: false,
    };
    state.queries.by_id.insert(id.clone(), query);
    Ok(Answer::ok(json!({"queryId": id})))
}

/// # Errors
/// `ResourceNotFoundException` for an id that nobody got.
pub fn get_query_results(state: &State, call: &Call) -> Result<Answer, ApiError> {
    let query = find(state, call)?;
    let status = status(query, state, call.at);
    if status != "Complete" {
        let nothing = json!({"recordsMatched": 0.0, "recordsScanned": 0.0, "bytesScanned": 0.0});
        return Ok(Answer::ok(json!({"status": status, "results": [], "statistics": nothing})));
    }
    let finished = query.started + state.options.insights_scheduled + state.options.insights_time;
    Ok(Answer::ok(compute(query, state, finished)))
}

/// # Errors
/// `InvalidParameterException` for a query that ended already.
pub fn stop_query(state: &mut State, call: &Call) -> Result<Answer, ApiError> {
    let query = find(state, call)?;
    if !matches!(status(query, state, call.at), "Scheduled" | "Running") {
        return Err(invalid("Query is not in a state where it can be stopped"));
    }
    if let Some(query) = call.text("queryId").and_then(|id| state.queries.by_id.get_mut(id)) {
        query.cancelled = true;
    }
    Ok(Answer::ok(json!({"success": true})))
}

fn find<'a>(state: &'a State, call: &Call) -> Result<&'a Query, ApiError> {
    let id = call.text("queryId").ok_or_else(|| invalid("queryId is required"))?;
    let missing = || ApiError::new(400, "ResourceNotFoundException", "The specified query does not exist.");
    state.queries.by_id.get(id).ok_or_else(missing)
}

/// One line with its group, and its JSON fields once somebody asks for one.
struct Record<'a> {
    group: &'a str,
    account: &'a str,
    line: &'a Line,
    json: std::cell::OnceCell<Option<Value>>,
}

impl Record<'_> {
    fn field(&self, name: &str) -> Option<Cow<'_, str>> {
        match name {
            "@message" => Some(Cow::Borrowed(&self.line.message)),
            "@timestamp" => Some(Cow::Owned(show_time(self.line.at_ms))),
            "@ingestionTime" => Some(Cow::Owned(show_time(self.line.ingested.as_millisecond()))),
            "@logStream" => Some(Cow::Borrowed(&self.line.stream)),
            "@log" => Some(Cow::Owned(format!("{}:{}", self.account, self.group))),
            "@ptr" => Some(Cow::Owned(self.line.event_id())),
            _ => {
                let json =
                    self.json.get_or_init(|| serde_json::from_str(&self.line.message).ok()).as_ref()?;
                // A field's own name may hold dots; the nested reading comes second.
                let value =
                    json.get(name).or_else(|| name.split('.').try_fold(json, |inner, key| inner.get(key)))?;
                match value {
                    Value::String(text) => Some(Cow::Borrowed(text)),
                    Value::Number(_) | Value::Bool(_) => Some(Cow::Owned(value.to_string())),
                    _ => None,
                }
            }
        }
    }
}

/// A time as Insights shows it.
fn show_time(ms: i64) -> String {
    let at = Timestamp::from_millisecond(ms).unwrap_or_default();
    at.strftime("%Y-%m-%d %H:%M:%S.%3f").to_string()
}

type Row = Vec<(String, String)>;

fn compute(query: &Query, state: &State, finished: Timestamp) -> Value {
    let mut scanned: Vec<Record<'_>> = Vec::new();
    for name in &query.groups {
        let Some((group, lines)) = state.logs.groups.get_key_value(name) else { continue };
        let window = (query.window.0, 0)..=(query.window.1, u64::MAX);
        let unindexed = state.queries.unindexed_from.map_or(i64::MAX, Timestamp::as_millisecond);
        let seen = lines.lines.range(window);
        let seen = seen.filter(|(_, line)| line.ingested <= finished && line.at_ms < unindexed);
        scanned.extend(seen.map(|(_, line)| Record {
            group,
            account: &state.options.account,
            line,
            json: std::cell::OnceCell::new(),
        }));
    }
    let records_scanned = scanned.len();
    let bytes: usize = scanned.iter().map(|record| record.line.message.len()).sum();
    let mut records = scanned;
    // The newest first, unless the query says otherwise.
    records.sort_by_key(|record| std::cmp::Reverse((record.line.at_ms, record.line.sequence)));
    let mut matched = records_scanned;
    let mut fields = vec!["@timestamp".to_owned(), "@message".to_owned()];
    let mut table: Option<Vec<Row>> = None;
    let mut limit = query.limit;
    for command in &query.commands {
        match (command, &mut table) {
            (Command::Fields(names), _) => fields.clone_from(names),
            (Command::Filter(condition), None) => {
                records.retain(|record| holds(condition, &|field| record.field(field)));
                matched = records.len();
            }
            (Command::Filter(condition), Some(rows)) => {
                rows.retain(|row| holds(condition, &|field| cell(row, field)));
            }
            (Command::Stats { counts, by }, _) => table = Some(aggregate(&records, counts, by)),
            (Command::Sort { field, descending }, None) if field == "@timestamp" => {
                records.sort_by_key(|record| (record.line.at_ms, record.line.sequence));
                if *descending {
                    records.reverse();
                }
            }
            (Command::Sort { field, descending }, None) => {
                sort(&mut records, *descending, |record| record.field(field));
            }
            (Command::Sort { field, descending }, Some(rows)) => {
                sort(rows, *descending, |row| cell(row, field));
            }
            (Command::Limit(most), _) => limit = limit.min(*most),
        }
    }
    let rows: Vec<Value> = match table {
        Some(rows) => rows.iter().take(limit).map(|row| show_row(row)).collect(),
        None => records.iter().take(limit).map(|record| show_row(&select(record, &fields))).collect(),
    };
    json!({
        "status": "Complete",
        "results": rows,
        "statistics": {
            "recordsMatched": matched as f64,
            "recordsScanned": records_scanned as f64,
            "bytesScanned": bytes as f64,
        },
    })
}

fn select(record: &Record<'_>, fields: &[String]) -> Row {
    let names = fields.iter().map(String::as_str).chain(["@ptr"]);
    names.filter_map(|name| Some((name.to_owned(), record.field(name)?.into_owned()))).collect()
}

fn show_row(row: &[(String, String)]) -> Value {
    row.iter().map(|(field, value)| json!({"field": field, "value": value})).collect()
}

fn cell<'a>(row: &'a [(String, String)], field: &str) -> Option<Cow<'a, str>> {
    row.iter().find(|(name, _)| name == field).map(|(_, value)| Cow::Borrowed(value.as_str()))
}

/// Sorts as numbers where both are, else as text; rows without the field come last.
fn sort<T>(items: &mut [T], descending: bool, key: impl Fn(&T) -> Option<Cow<'_, str>>) {
    items.sort_by_cached_key(|item| {
        let key = key(item);
        SortKey { missing: key.is_none(), text: key.unwrap_or_default().into_owned(), descending }
    });
}

#[derive(PartialEq, Eq)]
struct SortKey {
    missing: bool,
    text: String,
    descending: bool,
}

impl Ord for SortKey {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        let by_value = match (self.text.parse::<f64>(), other.text.parse::<f64>()) {
            (Ok(one), Ok(another)) if self.text.len() < 20 && other.text.len() < 20 => {
                one.total_cmp(&another)
            }
            _ => self.text.cmp(&other.text),
        };
        let by_value = if self.descending { by_value.reverse() } else { by_value };
        self.missing.cmp(&other.missing).then(by_value)
    }
}

impl PartialOrd for SortKey {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

fn holds<'a>(condition: &Condition, field_of: &dyn Fn(&str) -> Option<Cow<'a, str>>) -> bool {
    match condition {
        Condition::All(parts) => parts.iter().all(|part| holds(part, field_of)),
        Condition::Any(parts) => parts.iter().any(|part| holds(part, field_of)),
        Condition::Not(inner) => !holds(inner, field_of),
        Condition::Remainder { divisor, remainder } => field_of("@timestamp")
            .and_then(|shown| format!("{}Z", shown.replace(' ', "T")).parse::<Timestamp>().ok())
            .is_some_and(|at| at.as_millisecond().rem_euclid(*divisor) == *remainder),
        Condition::Present(field) => field_of(field).is_some(),
        Condition::Like { field, pattern } => field_of(field).is_some_and(|value| pattern.is_match(&value)),
        Condition::OneOf { field, operands } => {
            field_of(field).is_some_and(|value| operands.iter().any(|operand| compare(&value, "=", operand)))
        }
        Condition::Compare { field, operator, operand } => {
            field_of(field).is_some_and(|value| compare(&value, operator, operand))
        }
    }
}

fn compare(value: &str, operator: &str, operand: &Operand) -> bool {
    let order = match operand {
        Operand::Text(text) => Some(value.cmp(text.as_str())),
        Operand::Number(number) => value.parse::<f64>().ok().and_then(|value| value.partial_cmp(number)),
    };
    let Some(order) = order else { return operator == "!=" };
    match operator {
        "=" => order.is_eq(),
        "!=" => order.is_ne(),
        "<" => order.is_lt(),
        "<=" => order.is_le(),
        ">" => order.is_gt(),
        _ => order.is_ge(),
    }
}

fn aggregate(records: &[Record<'_>], counts: &[Aggregate], by: &[Grouping]) -> Vec<Row> {
    let mut groups: BTreeMap<Vec<Option<String>>, Vec<&Record<'_>>> = BTreeMap::new();
    for record in records {
        let key = by.iter().map(|grouping| match grouping {
            Grouping::Bin(width, _) => Some(show_time(record.line.at_ms.div_euclid(*width) * width)),
            Grouping::Field(field) => record.field(field).map(Cow::into_owned),
        });
        groups.entry(key.collect()).or_default().push(record);
    }
    groups
        .into_iter()
        .map(|(key, members)| {
            let names = by.iter().map(|grouping| match grouping {
                Grouping::Bin(_, name) => name,
                Grouping::Field(field) => field,
            });
            let mut row: Row =
                names.zip(key).filter_map(|(name, value)| Some((name.clone(), value?))).collect();
            row.extend(
                counts
                    .iter()
                    .filter_map(|count| Some((count.name.clone(), calculate(&count.function, &members)?))),
            );
            row
        })
        .collect()
}

/// The value as Insights shows it; `None` where no member has the field.
fn calculate(function: &Function, members: &[&Record<'_>]) -> Option<String> {
    let numbers = |field: &str| -> Vec<f64> {
        members.iter().filter_map(|record| record.field(field)?.parse().ok()).collect()
    };
    let some = |numbers: Vec<f64>, fold: fn(f64, f64) -> f64| numbers.into_iter().reduce(fold);
    let number = match function {
        Function::CountAll => members.len() as f64,
        Function::Count(field) => {
            members.iter().filter(|record| record.field(field).is_some()).count() as f64
        }
        Function::Sum(field) => numbers(field).iter().sum(),
        Function::Average(field) => {
            let numbers = numbers(field);
            if numbers.is_empty() {
                return None;
            }
            numbers.iter().sum::<f64>() / numbers.len() as f64
        }
        Function::Minimum(field) => some(numbers(field), f64::min)?,
        Function::Maximum(field) => some(numbers(field), f64::max)?,
    };
    Some(number.to_string())
}
