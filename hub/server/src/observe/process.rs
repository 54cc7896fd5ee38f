//! What the process takes from the machine, under the names every Prometheus client uses.

use metrics::{counter, gauge};
use rustix::time::{ClockId, clock_gettime};

use super::watcher::float;

/// Shows resident memory and processor time.
pub(super) fn show(resident: &'static str, cpu: &'static str) {
    if let Some(bytes) = std::fs::read_to_string("/proc/self/status")
        .ok()
        .as_deref()
        .and_then(resident_bytes)
    {
        gauge!(resident).set(float(bytes));
    }
    let taken = clock_gettime(ClockId::ProcessCPUTime);
    counter!(cpu).absolute(u64::try_from(taken.tv_sec).unwrap_or(0));
}

/// `VmRSS:     1234 kB`
fn resident_bytes(status: &str) -> Option<u64> {
    let line = status
        .lines()
        .find_map(|line| line.strip_prefix("VmRSS:"))?;
    let kilobytes: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    kilobytes.checked_mul(1024)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn resident_memory_is_read_as_the_kernel_writes_it() {
        let status = "Name:\trenkei\nVmHWM:\t   20000 kB\nVmRSS:\t   12345 kB\nThreads:\t4\n";
        assert_eq!(resident_bytes(status), Some(12_345 * 1024));
        assert_eq!(resident_bytes("Name:\trenkei\n"), None);
        let own = std::fs::read_to_string("/proc/self/status").unwrap();
        assert!(resident_bytes(&own).unwrap() > 1024 * 1024);
    }
}
