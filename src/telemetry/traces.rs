//! Traces: the spans of an incident's way, sent by OpenTelemetry's protocol where the program was built with the
//! feature `otel` and `OTEL_EXPORTER_OTLP_ENDPOINT` names a collector.
//!
//! The rule that is not obvious: spans alone are sent, and only this program's own. They have names, ids and figures; what
//! is logged within them holds errors' own words, which are masked on their way into the log and nowhere else.

use tracing_subscriber::Layer;
use tracing_subscriber::registry::LookupSpan;

/// Says where traces go, in OpenTelemetry's own way; its other variables (`OTEL_EXPORTER_OTLP_HEADERS`,
/// `OTEL_SERVICE_NAME`, `OTEL_RESOURCE_ATTRIBUTES`, `OTEL_TRACES_SAMPLER`) hold as well.
const ENDPOINTS: [&str; 2] = ["OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT"];

fn is_asked_for() -> bool {
    ENDPOINTS.iter().any(|name| std::env::var(name).is_ok_and(|value| !value.is_empty()))
}

/// Held while the program runs.
#[must_use = "what was not sent yet is sent at its end"]
#[derive(Default)]
pub struct Traces {
    flush: Option<Box<dyn FnOnce() + Send>>,
    /// Why there are none although they were asked for.
    trouble: Option<String>,
}

impl Traces {
    /// None, although they were asked for.
    fn without(trouble: String) -> Self {
        Self { flush: None, trouble: Some(trouble) }
    }

    /// Says what is wrong, once there is a log to say it in.
    pub(super) fn tell(&self) {
        if let Some(trouble) = &self.trouble {
            tracing::warn!(trouble, "no traces are sent");
        }
    }

    /// Sends what was not sent yet, within a second: whoever ends the process waits for it.
    pub fn end(self) {
        if let Some(flush) = self.flush {
            flush();
        }
    }
}

/// What a subscriber sends traces with, where they are asked for.
pub(super) type Sending<S> = Option<Box<dyn Layer<S> + Send + Sync>>;

#[cfg(not(feature = "otel"))]
pub(super) fn sending<S>() -> (Sending<S>, Traces)
where
    S: tracing::Subscriber + for<'span> LookupSpan<'span> + Send + Sync,
{
    let trouble = "this program was built without the feature `otel`";
    (None, if is_asked_for() { Traces::without(trouble.to_owned()) } else { Traces::default() })
}

#[cfg(feature = "otel")]
pub(super) fn sending<S>() -> (Sending<S>, Traces)
where
    S: tracing::Subscriber + for<'span> LookupSpan<'span> + Send + Sync,
{
    use opentelemetry::KeyValue;
    use opentelemetry::trace::TracerProvider as _;
    use opentelemetry_sdk::Resource;
    use opentelemetry_sdk::trace::SdkTracerProvider;
    use tracing_subscriber::filter::filter_fn;

    const NAME: &str = env!("CARGO_PKG_NAME");
    const WITHIN: std::time::Duration = std::time::Duration::from_secs(1);
    if !is_asked_for() {
        return (None, Traces::default());
    }
    let exporter = match opentelemetry_otlp::SpanExporter::builder().with_http().build() {
        Ok(exporter) => exporter,
        Err(error) => return (None, Traces::without(error.to_string())),
    };
    let mut resource =
        Resource::builder().with_attribute(KeyValue::new("service.version", env!("CARGO_PKG_VERSION")));
    if std::env::var_os("OTEL_SERVICE_NAME").is_none() {
        resource = resource.with_service_name(NAME);
    }
    let provider =
        SdkTracerProvider::builder().with_resource(resource.build()).with_batch_exporter(exporter).build();
    let layer = tracing_opentelemetry::layer()
        .with_tracer(provider.tracer(NAME))
        .with_location(false)
        .with_threads(false)
        .with_filter(filter_fn(|metadata| {
            metadata.is_span() && metadata.target().starts_with(env!("CARGO_CRATE_NAME"))
        }));
    let flush = move || {
        if let Err(error) = provider.shutdown_with_timeout(WITHIN) {
            tracing::warn!(%error, "the last traces could not be sent");
        }
    };
    (Some(Box::new(layer)), Traces { flush: Some(Box::new(flush)), trouble: None })
}
