//! The `renkei.toml` of a stage: everything on this machine, every peer live.

use std::fmt::Write as _;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use super::stage::{System, WIRE};
use crate::config::check::usual_font;

/// OAuth2 client of the hub at every simulated peer.
pub const CLIENT: &str = "renkei";
/// Its secret; simulators know no real ones.
pub const CLIENT_SECRET: &str = "rehearsal";

/// One table `[facility.…]`.
#[derive(Debug, Clone, Copy)]
pub struct Facility {
    /// Ten-digit number.
    pub number: &'static str,
    /// Its name as readers know it.
    pub name: &'static str,
    /// Facility class.
    pub class: &'static str,
    /// Municipality.
    pub district: &'static str,
}

/// What stands in the file.
#[derive(Debug, Clone)]
pub struct Written {
    /// The facility that speaks.
    pub hospital: &'static str,
    /// Its system account at every peer.
    pub account: &'static str,
    /// The tables `[facility.…]`.
    pub facilities: Vec<Facility>,
    /// Where the hub listens.
    pub mllp: SocketAddr,
    /// Standardized and extended storage.
    pub roots: [PathBuf; 2],
    /// Name, system, and address or exchange folder of each peer.
    pub peers: Vec<(&'static str, System, String)>,
    /// The file with the client secret.
    pub secret: PathBuf,
}

impl Written {
    /// The file's text; each of `trees` is a source that reads the storages.
    pub fn text(&self, trees: &[&str]) -> String {
        let mut text = String::from(HEAD);
        // Writing to a string cannot fail.
        let _ok = writeln!(text, "[documents]\nsheet = {}\n", usual_font().is_some());
        for facility in &self.facilities {
            let desk = if facility.number == self.hospital {
                DESK
            } else {
                ""
            };
            let _ok = writeln!(
                text,
                "[facility.{}]\nname = {}\nclass = {}\ndistrict = {}\n{desk}",
                facility.number,
                quoted(facility.name),
                quoted(facility.class),
                quoted(facility.district),
            );
        }
        let hospital = quoted(self.hospital);
        let _ok = writeln!(
            text,
            "# HL7 v2 over MLLP; AA is given when the effects are committed.\n[source.{WIRE}]\n\
             adapter.mllp = {{ listen = \"{}\", facility = {hospital}, ack = \"processed\" }}\n",
            self.mllp
        );
        for tree in trees {
            let _ok = writeln!(
                text,
                "# SS-MIX2 storages, looked at all the time.\n[source.{tree}]\n[source.{tree}.adapter.ssmix2]\n\
                 poll_secs = 0\nstable_secs = 0\nroots = [\n\
                 \x20 {{ path = {}, facility = {hospital} }},\n\
                 \x20 {{ path = {}, facility = {hospital}, kind = \"extended\" }},\n]\n",
                quoted_path(&self.roots[0]),
                quoted_path(&self.roots[1]),
            );
        }
        for (name, system, place) in &self.peers {
            let _ok = writeln!(
                text,
                "[peer.{name}]\nmode = \"live\"\nagreement_ref = \"demo\"\nadapter.{}\n",
                self.adapter(*system, place)
            );
        }
        text
    }

    fn adapter(&self, system: System, place: &str) -> String {
        let (hospital, place) = (quoted(self.hospital), quoted(place));
        let kind = match system {
            System::Ward => {
                return format!(
                    "ward.file_drop = {{ folder = {place}, facility = {hospital}, poll_secs = 1 }}"
                );
            }
            System::Mcs => "mcs",
            System::VitalLink => "vital_link",
        };
        format!(
            "{kind} = {{ connection = {{ endpoint = {place}, client_id = \"{CLIENT}\", secret = {{ file = {} }} }}, \
             facility = {hospital}, user_ref = {}, poll_secs = 1 }}",
            quoted_path(&self.secret),
            quoted(self.account),
        )
    }
}

const HEAD: &str = "# Written by the demo: one hub, simulated peers, everything on this machine.\n\
    [hub]\ndata_dir = \"data\"\n# The hub's time is moved by the story.\nrehearsal_clock = \"clock\"\n\
    retry = { first_millis = 200, most_secs = 2 }\n\n";
const DESK: &str = "desk = \"医療連携室\"\nphone = \"03-0000-0000\"\nhours = \"平日9–17時\"\n";

fn quoted(text: &str) -> String {
    toml::Value::String(text.to_owned()).to_string()
}

fn quoted_path(path: &Path) -> String {
    quoted(&path.display().to_string())
}
