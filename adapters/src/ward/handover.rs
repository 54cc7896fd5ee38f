//! Hands files over: content and manifest first, the empty `.done` last, every step on disk before the
//! next, so that the ward never sees half a document and a power cut loses none.

use std::fs::{self, File};
use std::io::{self, Write as _};
use std::path::Path;

use super::frame::Files;

/// Writes a batch into `folder`; one answer per document, in order. A document whose `.done` still
/// stands there was handed over before and has not been looked at: it is left alone.
pub(super) fn hand_over(folder: &Path, batch: &[Files]) -> Vec<io::Result<()>> {
    let mut done: Vec<io::Result<()>> = batch.iter().map(|files| write(folder, files)).collect();
    settle(&mut done, sync(folder));
    for (answer, files) in done.iter_mut().zip(batch) {
        if answer.is_ok() {
            *answer = finish(folder, files);
        }
    }
    settle(&mut done, sync(folder));
    done
}

/// A folder that cannot be synced spoils what was written into it.
fn settle(done: &mut [io::Result<()>], synced: io::Result<()>) {
    if let Err(error) = synced {
        for answer in done.iter_mut().filter(|answer| answer.is_ok()) {
            *answer = Err(io::Error::new(error.kind(), "the folder cannot be synced"));
        }
    }
}

fn marker(files: &Files) -> String {
    format!("{}.done", files.stem)
}

fn write(folder: &Path, files: &Files) -> io::Result<()> {
    if folder.join(marker(files)).exists() {
        return Ok(());
    }
    for (name, bytes) in &files.files {
        let unfinished = folder.join(format!("{name}.tmp"));
        let mut file = File::create(&unfinished)?;
        file.write_all(bytes)?;
        file.sync_all()?;
        fs::rename(&unfinished, folder.join(name))?;
    }
    Ok(())
}

fn finish(folder: &Path, files: &Files) -> io::Result<()> {
    File::create(folder.join(marker(files)))?.sync_all()
}

fn sync(folder: &Path) -> io::Result<()> {
    File::open(folder)?.sync_all()
}
