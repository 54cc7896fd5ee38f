//! The way of the spans to an OpenTelemetry collector: OTLP over HTTP, in batches, from a thread of the
//! SDK, through the adapters' client. A collector that does not answer costs spans, never the walk.

use std::sync::atomic::{AtomicBool, Ordering};

use async_trait::async_trait;
use bytes::Bytes;
use opentelemetry::trace::TracerProvider as _;
use opentelemetry_http::{HttpClient, HttpError, Request, Response};
use opentelemetry_otlp::{Protocol, SpanExporter, WithExportConfig as _, WithHttpConfig as _};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::trace::SdkTracerProvider;
use renkei_adapters::http::Hook;
use renkei_core::{BoxError, chain};
use tokio::runtime::Handle;
use tracing::{Subscriber, info, warn};
use tracing_subscriber::Layer;
use tracing_subscriber::filter::filter_fn;
use tracing_subscriber::registry::LookupSpan;

use super::trace::TARGET;

/// Spans on their way; what is left is handed over by [`Traces::flush`].
#[derive(Debug)]
pub(crate) struct Traces(SdkTracerProvider);

impl Traces {
    /// Hands over what is left, at the end of the process.
    pub(crate) async fn flush(self) {
        let provider = self.0;
        // It waits for its thread, which needs the runtime for the last calls.
        let flushed = tokio::task::spawn_blocking(move || provider.shutdown()).await;
        if !matches!(flushed, Ok(Ok(()))) {
            warn!("the last spans did not reach the collector");
        }
    }
}

/// A layer that sends the walk's spans to the collector at `base`.
///
/// # Errors
/// When the address cannot be used, or this machine has no TLS.
pub(crate) fn layer<S>(base: &str) -> Result<(impl Layer<S>, Traces), BoxError>
where
    S: Subscriber + for<'span> LookupSpan<'span>,
{
    let endpoint = format!("{}/v1/traces", base.trim_end_matches('/'));
    let collector = Collector {
        hook: Hook::new(&endpoint, None)?,
        runtime: Handle::current(),
        silent: AtomicBool::new(false),
    };
    let exporter = SpanExporter::builder()
        .with_http()
        .with_http_client(collector)
        .with_protocol(Protocol::HttpBinary)
        .with_endpoint(endpoint)
        .build()?;
    let provider = SdkTracerProvider::builder()
        .with_resource(
            Resource::builder_empty()
                .with_service_name("renkei")
                .build(),
        )
        .with_batch_exporter(exporter)
        .build();
    let layer = tracing_opentelemetry::layer()
        .with_tracer(provider.tracer("renkei"))
        .with_location(false)
        .with_threads(false)
        .with_target(false)
        .with_filter(filter_fn(|metadata| metadata.target() == TARGET));
    Ok((layer, Traces(provider)))
}

/// The collector, as the SDK's thread speaks to it.
#[derive(Debug)]
struct Collector {
    hook: Hook,
    runtime: Handle,
    /// It did not answer last time, and that was said.
    silent: AtomicBool,
}

#[async_trait]
impl HttpClient for Collector {
    async fn send_bytes(&self, request: Request<Bytes>) -> Result<Response<Bytes>, HttpError> {
        let (hook, body) = (self.hook.clone(), request.into_body());
        // The SDK's thread has no runtime of its own.
        let posted = self
            .runtime
            .spawn(async move { hook.post("application/x-protobuf", None, body).await })
            .await?;
        match posted {
            Ok(answer) => {
                if self.silent.swap(false, Ordering::Relaxed) {
                    info!("the collector takes spans again");
                }
                Ok(Response::new(answer))
            }
            Err(error) => {
                if !self.silent.swap(true, Ordering::Relaxed) {
                    warn!(error = %chain(&error), "the collector does not take spans");
                }
                Err(error.into())
            }
        }
    }
}
