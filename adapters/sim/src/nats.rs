//! A real `nats-server` with JetStream, for tests: on loopback, in a folder of its own, gone with its
//! handle. Nothing is simulated here.

use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::{Duration, Instant};

use tokio::io::{AsyncBufReadExt as _, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio::process::{Child, Command};

/// Where Debian puts it, which is not in everybody's path.
const PLACES: [&str; 2] = ["nats-server", "/usr/sbin/nats-server"];
/// It is there within this time, or something is wrong.
const PATIENCE: Duration = Duration::from_secs(20);

/// A running server; killed when dropped.
#[derive(Debug)]
pub struct Server {
    folder: PathBuf,
    address: SocketAddr,
    child: Option<Child>,
}

impl Server {
    /// Starts one that keeps its streams in `folder`, and waits until it serves.
    ///
    /// # Errors
    /// When `nats-server` is not installed (Debian's package of that name), or does not come up.
    pub async fn start(folder: &Path) -> io::Result<Self> {
        let free = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        let mut server = Self {
            folder: folder.to_owned(),
            address: free.local_addr()?,
            child: None,
        };
        drop(free);
        server.resume().await?;
        Ok(server)
    }

    /// Its address as clients write it.
    pub fn url(&self) -> String {
        format!("nats://{}", self.address)
    }

    /// Cuts it off (SIGKILL). Its folder stays.
    ///
    /// # Errors
    /// As the operating system says.
    pub async fn kill(&mut self) -> io::Result<()> {
        match self.child.take() {
            Some(mut child) => child.kill().await,
            None => Ok(()),
        }
    }

    /// Starts it again at the same address with the same folder.
    ///
    /// # Errors
    /// See [`Server::start`].
    pub async fn resume(&mut self) -> io::Result<()> {
        let mut child = self.spawn()?;
        let began = Instant::now();
        while !serves(self.address).await {
            if let Some(status) = child.try_wait()? {
                let log = std::fs::read_to_string(self.log()).unwrap_or_default();
                return Err(io::Error::other(format!(
                    "nats-server ended with {status}: {log}"
                )));
            }
            if began.elapsed() > PATIENCE {
                return Err(io::Error::other("nats-server did not come up"));
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        self.child = Some(child);
        Ok(())
    }

    fn log(&self) -> PathBuf {
        self.folder.join("nats-server.log")
    }

    fn spawn(&self) -> io::Result<Child> {
        for place in PLACES {
            let spawned = Command::new(place)
                .args(["--addr", "127.0.0.1", "--jetstream", "--port"])
                .arg(self.address.port().to_string())
                .arg("--store_dir")
                .arg(&self.folder)
                .arg("--log")
                .arg(self.log())
                .stdin(Stdio::null())
                .stdout(Stdio::null())
                .stderr(Stdio::null())
                .kill_on_drop(true)
                .spawn();
            match spawned {
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                other => return other,
            }
        }
        Err(io::Error::new(
            io::ErrorKind::NotFound,
            "nats-server is not installed; on Debian: apt-get install nats-server",
        ))
    }
}

/// Whether it says what every NATS server says first, with JetStream.
async fn serves(address: SocketAddr) -> bool {
    let Ok(stream) = TcpStream::connect(address).await else {
        return false;
    };
    let mut first = String::new();
    let read = BufReader::new(stream).read_line(&mut first).await;
    read.is_ok() && first.starts_with("INFO ") && first.contains("\"jetstream\":true")
}
