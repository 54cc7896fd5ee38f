//! The command line. Data goes to stdout, everything else to stderr; lists print a table, or JSON with
//! `--json`. Exit 0 done, 64 bad usage or configuration, 65 bad input data, 70 own fault.

pub mod bench;
pub mod check;
pub mod demo;
pub mod load;
pub mod map;
pub mod map_coverage;
pub mod map_local;
pub mod map_tables;
mod operate;
pub mod run;
pub mod sim;

use std::io::Write as _;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Parser, Subcommand};
use renkei_adapters::jetstream;
use renkei_core::chain;
use tracing::Subscriber;
use tracing_subscriber::Layer;
use tracing_subscriber::filter::{FilterExt as _, filter_fn};
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::registry::LookupSpan;
use tracing_subscriber::util::SubscriberInitExt as _;

use crate::observe::trace;

/// How a command ended, as the process tells its caller (`sysexits.h`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Exit {
    /// Done.
    Done,
    /// Bad usage or configuration.
    Usage,
    /// Bad input data, named on stderr.
    Data,
    /// Own fault.
    Fault,
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(match exit {
            Exit::Done => 0,
            Exit::Usage => 64,
            Exit::Data => 65,
            Exit::Fault => 70,
        })
    }
}

/// The hub between the systems of home care.
#[derive(Debug, Parser)]
#[command(name = "renkei", version, about = "renkei 連携: the hub between the systems of home care", long_about = None)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

/// What renkei can do.
#[derive(Debug, Subcommand)]
enum Command {
    /// Runs the hub until SIGTERM or Ctrl-C.
    Run(run::Run),
    /// Checks a configuration; with --probe asks every peer without writing anything.
    Check(check::Check),
    /// Prints the JSON Schema of renkei.toml.
    Schema,
    /// Dry run: what a mapping makes of files or trees.
    Map(map::Map),
    /// A simulated other end on loopback.
    Sim(sim::Sim),
    /// The story of one discharge on this machine: hospital, hub, MCS, Vital Link, ward system.
    Demo(demo::Demo),
    /// Measures the hub against its limit in the same run.
    Bench(bench::Bench),
    /// Sends invented patients' messages to a hub, at planned instants.
    Load(load::Load),
    #[command(flatten)]
    Operate(operate::Operate),
}

/// Where the configuration is.
#[derive(Debug, Clone, clap::Args)]
pub struct ConfigFile {
    /// The configuration file.
    #[arg(
        long,
        global = true,
        value_name = "FILE",
        env = "RENKEI_CONFIG",
        default_value = "renkei.toml"
    )]
    pub config: PathBuf,
}

/// Parses the arguments and runs the command.
pub fn main() -> ExitCode {
    // With two providers linked rustls cannot choose; the first call wins and a second is no fault.
    let _chosen = rustls::crypto::ring::default_provider().install_default();
    let arguments = match Arguments::try_parse() {
        Ok(arguments) => arguments,
        Err(error) => {
            let help = !error.use_stderr();
            let _printed = error.print();
            return if help {
                Exit::Done.into()
            } else {
                Exit::Usage.into()
            };
        }
    };
    // The hub logs once it knows where its spans go.
    if !matches!(arguments.command, Command::Run(_)) {
        log_to_stderr();
    }
    let runtime = match tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
    {
        Ok(runtime) => runtime,
        Err(error) => return fault(&error.into()).into(),
    };
    let done = runtime.block_on(dispatch(arguments.command));
    // Blocking work that nobody waits for must not hold up the end.
    runtime.shutdown_timeout(std::time::Duration::from_secs(1));
    done.unwrap_or_else(|error| fault(&error)).into()
}

async fn dispatch(command: Command) -> anyhow::Result<Exit> {
    match command {
        Command::Run(run) => run.run().await,
        Command::Check(check) => check.run().await,
        Command::Schema => check::schema(),
        Command::Map(map) => map.run(),
        Command::Sim(sim) => sim.run().await,
        Command::Demo(demo) => demo.run().await,
        Command::Bench(bench) => bench.run().await,
        Command::Load(load) => load.run().await,
        Command::Operate(operate) => operate.run().await,
    }
}

fn fault(error: &anyhow::Error) -> Exit {
    complain(&format!("renkei: {}", chain(error.as_ref())));
    Exit::Fault
}

/// One line on stderr.
pub fn complain(line: &str) {
    let _written = writeln!(std::io::stderr().lock(), "{line}");
}

/// One line on stdout. A reader that went away (`| head`) is no fault.
pub fn say(line: &str) {
    if writeln!(std::io::stdout().lock(), "{line}").is_err() {
        std::process::exit(0);
    }
}

/// Logs to stderr what `RENKEI_LOG` asks for.
fn log_to_stderr() {
    let _already = tracing_subscriber::registry().with(log()).try_init();
}

/// The log's own layer. Spans of the walk are for a collector and would only repeat themselves here.
fn log<S>() -> impl Layer<S>
where
    S: Subscriber + for<'span> LookupSpan<'span>,
{
    let filter =
        tracing_subscriber::EnvFilter::try_from_env("RENKEI_LOG").unwrap_or_else(|_| "info".into());
    tracing_subscriber::fmt::layer()
        .with_writer(std::io::stderr)
        .with_target(false)
        .with_ansi(std::io::IsTerminal::is_terminal(&std::io::stderr()))
        .with_filter(
            filter
                .and(filter_fn(jetstream::may_be_logged))
                .and(filter_fn(|metadata| metadata.target() != trace::TARGET)),
        )
}

/// Logs, and sends the walk's spans to the collector at `otlp`.
#[cfg(feature = "otel")]
fn log_and_trace(otlp: Option<&str>) -> anyhow::Result<Option<crate::observe::otlp::Traces>> {
    let traced = otlp.map(crate::observe::otlp::layer).transpose();
    let (layer, traces) = traced.map_err(anyhow::Error::from_boxed)?.unzip();
    let _already = tracing_subscriber::registry()
        .with(log())
        .with(layer)
        .try_init();
    Ok(traces)
}
