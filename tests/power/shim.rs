//! The shim that is preloaded into the hub (`record.c`), and the words the tests pass to it.

use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

use crate::hub::Folders;

/// What the shim shall do at this moment. The layout is `struct control` of `record.c`.
#[derive(Clone, Copy, Default)]
pub(crate) struct Orders {
    /// The wall clock is this far off.
    pub(crate) clock_seconds: i64,
    /// Writes and changes of names fail with this number.
    pub(crate) fail_write: i32,
    /// Syncs fail with this number.
    pub(crate) fail_sync: i32,
    /// Opening fails with this number.
    pub(crate) fail_open: i32,
    /// A sync takes this much longer, in milliseconds.
    pub(crate) slow_sync: i32,
    /// Whoever writes this is ended; at most 31 bytes.
    pub(crate) poison: &'static str,
}

/// Numbers of `errno.h`, as Linux has them on every machine.
pub(crate) const EIO: i32 = 5;
pub(crate) const EACCES: i32 = 13;
pub(crate) const EROFS: i32 = 30;

/// The shim of one hub.
pub(crate) struct Shim {
    control: std::fs::File,
    folder: PathBuf,
    below: PathBuf,
    trace: Option<PathBuf>,
}

impl Shim {
    /// A shim that watches the hub's own folder and does nothing yet.
    pub(crate) fn new(folders: &Folders) -> Self {
        let folder = folders.path("shim");
        let control = std::fs::File::options()
            .create(true)
            .truncate(true)
            .write(true)
            .open(&folder)
            .unwrap();
        let shim = Self {
            control,
            folder,
            below: folders.data(),
            trace: None,
        };
        shim.order(Orders::default());
        shim
    }

    /// The same, and everything is recorded.
    pub(crate) fn recording(folders: &Folders) -> Self {
        Self {
            trace: Some(folders.path("trace")),
            ..Self::new(folders)
        }
    }

    /// What the hub's environment needs.
    pub(crate) fn env(&self) -> Vec<(&'static str, String)> {
        let text = |path: &Path| path.to_str().unwrap().to_owned();
        let mut env = vec![
            ("LD_PRELOAD", text(library())),
            ("RENKEI_SHIM_BELOW", text(&self.below)),
            ("RENKEI_SHIM_CONTROL", text(&self.folder)),
        ];
        env.extend(
            self.trace
                .as_deref()
                .map(|trace| ("RENKEI_SHIM_TRACE", text(trace))),
        );
        env
    }

    /// The record so far.
    pub(crate) fn trace(&self) -> Vec<u8> {
        std::fs::read(self.trace.as_ref().unwrap()).unwrap()
    }

    /// From now on.
    pub(crate) fn order(&self, orders: Orders) {
        let mut words = orders.clock_seconds.to_ne_bytes().to_vec();
        for number in [
            orders.fail_write,
            orders.fail_sync,
            orders.fail_open,
            orders.slow_sync,
        ] {
            words.extend(number.to_ne_bytes());
        }
        let mut poison = [0; 32];
        poison[..orders.poison.len()].copy_from_slice(orders.poison.as_bytes());
        words.extend(poison);
        self.control.write_all_at(&words, 0).unwrap();
    }
}

/// The compiled shim, built once per run of the tests.
fn library() -> &'static Path {
    static BUILT: OnceLock<(tempfile::TempDir, PathBuf)> = OnceLock::new();
    let (_folder, library) = BUILT.get_or_init(|| {
        let folder = tempfile::TempDir::with_prefix("renkei-shim-").unwrap();
        let library = folder.path().join("record.so");
        let source = concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests/power/record.c");
        let built = Command::new("cc")
            .args(["-O1", "-Wall", "-Wextra", "-Werror", "-shared", "-fPIC"])
            .arg("-o")
            .arg(&library)
            .arg(source)
            .output();
        let built = built.expect("the tests of faults need a C compiler, `cc`");
        let said = String::from_utf8_lossy(&built.stderr).into_owned();
        assert!(built.status.success(), "{said}");
        (folder, library)
    });
    library
}
