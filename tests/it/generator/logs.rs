//! Log events: requests of the simulation, told in the format of the service's logger.
//!
//! The rule that is not obvious: lines are a sample of the simulated requests (a log group that
//! samples), at one rate through the whole window, so that volume alone says nothing false.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use super::clock;
use super::model::Failure;
use super::random::Random;
use super::style::{Line, Style};
use super::wording;

/// A claim about deployments that the application adds to its own errors.
pub struct Claim {
    pub fields: Vec<(String, String)>,
}

pub struct Writer<'a> {
    pub random: &'a mut Random,
    pub service: &'a str,
    pub group: String,
    pub lambda: bool,
    pub style: Style,
    pub memory_mb: i64,
    pub region: &'a str,
    /// One or two wordings for each failure.
    pub phrases: BTreeMap<Failure, Vec<(String, String)>>,
    /// Streams of each version.
    pub streams: BTreeMap<String, Vec<String>>,
    /// The release that each version calls itself, where the service logs it.
    pub releases: Option<BTreeMap<String, String>>,
    /// A setting that the service prints with every line, by version.
    pub echo: Option<(String, BTreeMap<String, String>)>,
    pub zones: bool,
    pub routes: Vec<String>,
    pub tenants: Vec<String>,
    pub claim: Option<Claim>,
    /// Whether traces come as one event, or as one event for each of their lines.
    pub split_traces: bool,
    pub trace_share: f64,
    pub runtime: &'a str,
    pub arrival: Option<&'static str>,
    pub success: &'static str,
    pub out: Vec<(i64, String)>,
}

/// A version as Lambda prints it: the simulation counts states of `$LATEST` that AWS does not tell apart.
pub fn display(label: &str) -> &str {
    label.split('\'').next().unwrap_or(label)
}

/// One simulated request that is logged.
pub struct Request {
    pub at_ms: i64,
    pub version: String,
    pub failure: Option<Failure>,
    pub duration_ms: f64,
    pub memory_share: f64,
    /// A tenant that sends more than its habit, with the share of requests that are its own.
    pub heavy: Option<(usize, f64)>,
    /// Extra lines that the logger writes for this request.
    pub extra: Vec<(&'static str, &'static str)>,
}

impl Writer<'_> {
    fn push(&mut self, at_ms: i64, stream: &str, message: &str) {
        let ingestion = at_ms + self.random.whole(200, 5200);
        let mut line = String::with_capacity(message.len() + 220);
        let quoted = serde_json::to_string(message).unwrap_or_default();
        let _ = write!(
            line,
            "{{\"logStreamName\":\"{stream}\",\"timestamp\":{at_ms},\"message\":{quoted},\"ingestionTime\":{ingestion},\"eventId\":\"{}\",\"logGroupName\":\"{}\"}}",
            self.random.digits(56),
            self.group
        );
        self.out.push((at_ms, line));
    }

    fn trace(&mut self, kind: &str, text: &str) -> String {
        let line = self.random.whole(20, 400);
        let other = self.random.whole(20, 400);
        if self.runtime.starts_with("python") {
            format!(
                "Traceback (most recent call last):\n  File \"/app/{}/handlers.py\", line {line}, in handle\n    return run(event)\n  File \"/app/core/runner.py\", line {other}, in run\n{kind}: {text}",
                self.service.split('-').next().unwrap_or("app")
            )
        } else if self.runtime.starts_with("java") {
            format!(
                "io.tidal.{kind}: {text}\n\tat io.tidal.api.Endpoint.serve(Endpoint.java:{line})\n\tat io.tidal.core.Pipeline.step(Pipeline.java:{other})\n\tat java.base/java.lang.Thread.run(Thread.java:1583)"
            )
        } else if self.runtime.starts_with("go") {
            format!(
                "{kind}: {text}\ngoroutine {other} [running]:\nmain.serve(0xc000{})\n\t/src/cmd/server/main.go:{line} +0x1d",
                self.random.hex(6)
            )
        } else {
            format!(
                "{kind}: {text}\n    at serve (/srv/app/dist/server.js:{line}:{})\n    at async dispatch (/srv/app/dist/router.js:{other}:9)",
                self.random.whole(3, 60)
            )
        }
    }

    fn fields(&mut self, request: &Request, request_id: &str) -> Vec<(String, String)> {
        let mut fields = vec![("request_id".to_owned(), format!("\"{request_id}\""))];
        if !self.routes.is_empty() {
            let route = self.random.next() as usize % self.routes.len();
            fields.push(("route".to_owned(), format!("\"{}\"", self.routes[route])));
        }
        if !self.tenants.is_empty() {
            let tenant = match request.heavy {
                Some((tenant, share)) if self.random.chance(share) => tenant,
                _ => self.random.next() as usize % self.tenants.len(),
            };
            fields.push(("tenant".to_owned(), format!("\"{}\"", self.tenants[tenant])));
        }
        if self.zones {
            let zone = if request.failure == Some(Failure::ZoneLost) {
                "b"
            } else {
                self.random.pick(&["a", "b", "c"])
            };
            fields.push(("availability_zone".to_owned(), format!("\"{}{zone}\"", self.region)));
        }
        if let Some(release) = self.releases.as_ref().and_then(|releases| releases.get(&request.version)) {
            fields.push(("release".to_owned(), format!("\"{release}\"")));
        }
        if let Some((key, value)) = self
            .echo
            .as_ref()
            .and_then(|(key, values)| values.get(&request.version).map(|value| (key, value)))
        {
            let shown = if value.parse::<f64>().is_ok() { value.clone() } else { format!("\"{value}\"") };
            fields.push((key.clone(), shown));
        }
        fields
    }

    /// Writes everything that one request leaves in the logs.
    pub fn request(&mut self, request: &Request) {
        let streams = self.streams.get(&request.version).cloned().unwrap_or_default();
        let stream = streams[self.random.next() as usize % streams.len()].clone();
        let request_id = self.random.uuid();
        let end = request.at_ms + request.duration_ms.max(1.0) as i64;
        if self.lambda {
            self.push(
                request.at_ms,
                &stream,
                &format!("START RequestId: {request_id} Version: {}\n", display(&request.version)),
            );
        }
        let mut fields = self.fields(request, &request_id);
        if let Some(arrival) = self.arrival {
            let line = Line { level: "info", text: arrival, fields: &fields, trace: None };
            let message = self.style.render(self.random, request.at_ms + 1, self.service, &line);
            self.push(request.at_ms + 1, &stream, &message);
        }
        for (level, text) in &request.extra {
            let line = Line { level, text, fields: &fields, trace: None };
            let message = self.style.render(self.random, request.at_ms + 2, self.service, &line);
            self.push(request.at_ms + 2, &stream, &message);
        }
        if self.random.chance(0.012) {
            let text = self.random.pick(wording::WARNINGS);
            let line = Line { level: "warn", text, fields: &fields, trace: None };
            let message = self.style.render(self.random, end - 1, self.service, &line);
            self.push(end - 1, &stream, &message);
        }
        fields.push(("duration_ms".to_owned(), format!("{:.0}", request.duration_ms)));
        let killed =
            self.lambda && matches!(request.failure, Some(Failure::HandlerTimeout | Failure::OutOfMemory));
        match request.failure {
            None => {
                let line = Line { level: "info", text: self.success, fields: &fields, trace: None };
                let message = self.style.render(self.random, end, self.service, &line);
                self.push(end, &stream, &message);
            }
            Some(failure) if killed => self.killed(failure, end, &stream, &request_id),
            Some(failure) => self.failed(failure, end, &stream, fields),
        }
        if self.lambda {
            self.push(end, &stream, &format!("END RequestId: {request_id}\n"));
            let used = (request.memory_share * self.memory_mb as f64).min(self.memory_mb as f64);
            let suffix = match request.failure {
                Some(Failure::HandlerTimeout) => "\tStatus: timeout",
                Some(Failure::OutOfMemory) => "\tStatus: error\tError Type: Runtime.OutOfMemory",
                _ => "",
            };
            let duration = request.duration_ms + self.random.unit();
            let report = format!(
                "REPORT RequestId: {request_id}\tDuration: {duration:.2} ms\tBilled Duration: {:.0} ms\tMemory Size: {} MB\tMax Memory Used: {used:.0} MB\t{suffix}\n",
                duration.ceil(),
                self.memory_mb
            );
            self.push(end, &stream, &report);
        }
    }

    fn killed(&mut self, failure: Failure, end: i64, stream: &str, request_id: &str) {
        let message = if failure == Failure::HandlerTimeout {
            let (_, text) = self.phrase(Failure::HandlerTimeout);
            let seconds =
                text.split_whitespace().find(|word| word.parse::<f64>().is_ok()).unwrap_or("3.00").to_owned();
            format!("{} {request_id} Task timed out after {seconds} seconds\n\n", clock::iso_millis(end))
        } else {
            format!(
                "RequestId: {request_id} Error: Runtime exited with error: signal: killed\nRuntime.ExitError\n"
            )
        };
        self.push(end, stream, &message);
    }

    fn phrase(&mut self, failure: Failure) -> (String, String) {
        match self.phrases.get(&failure) {
            Some(phrases) if !phrases.is_empty() => {
                phrases[self.random.next() as usize % phrases.len()].clone()
            }
            _ => ("Error".to_owned(), "failed".to_owned()),
        }
    }

    fn failed(&mut self, failure: Failure, end: i64, stream: &str, mut fields: Vec<(String, String)>) {
        let (kind, text) = self.phrase(failure);
        fields.push(("status".to_owned(), wording::status(failure).to_string()));
        fields.push(("error_kind".to_owned(), format!("\"{kind}\"")));
        let level = if failure == Failure::Validation { "warn" } else { "error" };
        if let Some(claim) = &self.claim
            && failure != Failure::Validation
        {
            fields.extend(claim.fields.iter().cloned());
        }
        let trace = if failure != Failure::Validation && self.random.chance(self.trace_share) {
            Some(self.trace(&kind, &text))
        } else {
            None
        };
        let (inside, after) =
            if self.split_traces { (None, trace.as_deref()) } else { (trace.as_deref(), None) };
        let line = Line { level, text: &text, fields: &fields, trace: inside };
        let message = self.style.render(self.random, end, self.service, &line);
        self.push(end, stream, &message);
        for line in after.unwrap_or_default().lines() {
            self.push(end, stream, line);
        }
    }

    /// A line that belongs to no request, in the service's own style.
    pub fn remark(
        &mut self,
        at_ms: i64,
        version: &str,
        level: &'static str,
        text: &str,
        fields: &[(String, String)],
    ) {
        let streams = self.streams.get(version).cloned().unwrap_or_default();
        if let Some(stream) = streams.first() {
            let line = Line { level, text, fields, trace: None };
            let message = self.style.render(self.random, at_ms, self.service, &line);
            self.push(at_ms, stream, &message);
        }
    }

    /// The events as `logs.ndjson` holds them, ordered as CloudWatch returns them.
    pub fn finish(mut self, now_ms: i64) -> Vec<u8> {
        self.out.retain(|(at, _)| *at < now_ms);
        self.out.sort_by_key(|(at, _)| *at);
        let mut file = String::with_capacity(self.out.len() * 400);
        for (_, line) in &self.out {
            file.push_str(line);
            file.push('\n');
        }
        file.into_bytes()
    }
}
