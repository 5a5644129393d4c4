//! How much memory there is for this process.

use std::fs;

/// Bytes of memory of the machine or, when lower, of the control group that the process runs
/// in. `None` when neither can be read.
pub(crate) fn memory_total_bytes() -> Option<u64> {
    let machine = fs::read_to_string("/proc/meminfo").ok().and_then(|text| parse_meminfo(&text));
    let group = ["/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes"]
        .into_iter()
        .filter_map(|path| fs::read_to_string(path).ok())
        .find_map(|text| text.trim().parse::<u64>().ok());
    match (machine, group) {
        (Some(machine), Some(group)) => Some(machine.min(group)),
        (one, other) => one.or(other),
    }
}

/// `MemTotal` of `/proc/meminfo`, in bytes.
fn parse_meminfo(text: &str) -> Option<u64> {
    let line = text.lines().find_map(|line| line.strip_prefix("MemTotal:"))?;
    let kibibytes: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(kibibytes * 1024)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn meminfo_is_in_kibibytes() {
        assert_eq!(parse_meminfo("MemTotal:       24590 kB\nMemFree: 1 kB\n"), Some(24590 * 1024));
        assert_eq!(parse_meminfo("nothing"), None);
    }

    #[test]
    fn this_machine_has_memory() {
        assert!(memory_total_bytes().unwrap() > 64 << 20);
    }
}
