//! The file end to end: dropped into a folder of a hub, cut, accepted, mapped, recorded in its ledger.
//!
//! The hub is a process of its own on SQLite. Nobody has a channel, so nothing is delivered; everything up to
//! that is done. Time runs from the moment the file is there until the last message is processed.

use std::net::SocketAddr;
use std::path::Path;
use std::time::{Duration, Instant};

use super::super::walk::{free_address, megabytes};
use super::super::{Failure, Report, float, is_in_memory};
use crate::demo::process::HubProcess;
use crate::load::district::HOSPITAL;
use crate::load::watch::{self, Watch};

/// Between two looks at the hub.
const LOOK: Duration = Duration::from_millis(50);
/// Longest time for the whole file.
const PATIENCE: Duration = Duration::from_secs(600);

fn config(listen: SocketAddr) -> String {
    format!(
        "# Written by renkei for a bench: invented patients, everything on this machine.\n\
         [hub]\ndata_dir = \"data\"\n\n[facility.{HOSPITAL}]\nname = \"架空総合病院\"\nclass = \"hospital\"\n\
         district = \"suginami\"\ndesk = \"医療連携室\"\nphone = \"03-0000-0000\"\nhours = \"平日9–17時\"\n\n\
         [source.his]\nadapter.mllp = {{ listen = \"{listen}\", facility = \"{HOSPITAL}\" }}\n\n\
         [source.lab]\nmapping = \"builtin/lab-csv\"\nadmit = \"all\"\n"
    )
}

/// Measures it, with the hub's files in `folder`.
pub(super) async fn run(
    report: &mut Report,
    program: &Path,
    file: &Path,
    rows: usize,
    folder: &Path,
) -> Result<(), Failure> {
    let listen = free_address()?;
    let drop_folder = folder.join("lab");
    std::fs::create_dir(&drop_folder)?;
    let quoted = toml::Value::String(drop_folder.display().to_string());
    let adapter = format!(
        "adapter.folder = {{ path = {quoted}, facility = \"{HOSPITAL}\", poll_secs = 0, stable_secs = 0 }}\n"
    );
    let path = folder.join("renkei.toml");
    std::fs::write(&path, config(listen) + &adapter)?;
    let mut hub = HubProcess::new(program, &path, &folder.join("hub.log"), listen);
    hub.start().await.map_err(Failure::stage)?;
    let mut watch = Watch::open(Some(&path), hub.id()).await?;
    let before = watch.look().await?;
    std::fs::copy(file, drop_folder.join(".writing"))?;
    std::fs::rename(
        drop_folder.join(".writing"),
        drop_folder.join("results.csv"),
    )?;
    let began = Instant::now();
    let taken = drop_folder.join("done").join("results.csv");
    let after = loop {
        let sample = watch.look().await?;
        if sample.waiting == 0 && taken.exists() {
            break sample;
        }
        if began.elapsed() > PATIENCE {
            return Err(Failure::Message(
                "the hub does not finish the file".to_owned(),
            ));
        }
        tokio::time::sleep(LOOK).await;
    };
    let took = began.elapsed().as_secs_f64();
    let most = watch::most(watch.samples.iter());
    let peak = hub.id().and_then(watch::peak).unwrap_or(most.rss_bytes);
    if after.stuck > 0 {
        let text = format!("{} messages of the file wait for a person", after.stuck);
        report.conditions.push(text);
    }
    if is_in_memory(folder) {
        let text = "the folder lies in memory: the way into the ledger says nothing about a disk";
        report.conditions.push(text.to_owned());
    }
    let cpu = after.cpu.saturating_sub(before.cpu).as_secs_f64();
    report.add("map.whole", float(rows) / took, "rows/s");
    report.add("map.whole_cpu", cpu * 1e6 / float(rows), "us/row");
    report.add("map.whole_memory_idle", megabytes(before.rss_bytes), "MB");
    report.add("map.whole_memory_most", megabytes(peak), "MB");
    hub.stop().await.map_err(Failure::stage)
}
