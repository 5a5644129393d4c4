//! How much memory there is for this process.

use std::fs;
use std::path::{Path, PathBuf};

/// Bytes of memory of the machine or, when lower, of the lowest limit of the control groups that
/// the process runs in, however deep. `None` when none can be read.
pub(crate) fn memory_total_bytes() -> Option<u64> {
    let machine = fs::read_to_string("/proc/meminfo").ok().and_then(|text| parse_meminfo(&text));
    let groups = fs::read_to_string("/proc/self/cgroup").unwrap_or_default();
    let files = limit_files(&groups, Path::new("/sys/fs/cgroup"));
    let limits = files.iter().filter_map(|file| fs::read_to_string(file).ok());
    // A group without a limit says `max`, or a number that no machine has.
    machine.into_iter().chain(limits.filter_map(|text| text.trim().parse().ok())).min()
}

/// `MemTotal` of `/proc/meminfo`, in bytes.
fn parse_meminfo(text: &str) -> Option<u64> {
    let line = text.lines().find_map(|line| line.strip_prefix("MemTotal:"))?;
    let kibibytes: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(kibibytes * 1024)
}

/// The files that may hold limits of the groups of `/proc/self/cgroup`, and of those around them,
/// where control groups are mounted at `root`: of version 2, of version 1, and of containers, which
/// see their own group as the root.
fn limit_files(groups: &str, root: &Path) -> Vec<PathBuf> {
    let mut files = Vec::new();
    for line in groups.lines() {
        let mut parts = line.splitn(3, ':').skip(1);
        let (Some(controllers), Some(path)) = (parts.next(), parts.next()) else { continue };
        let (mount, file) = match controllers {
            "" => (root.to_path_buf(), "memory.max"),
            controllers if controllers.split(',').any(|one| one == "memory") => {
                (root.join("memory"), "memory.limit_in_bytes")
            }
            _ => continue,
        };
        let group = Path::new(path.trim_start_matches('/'));
        files.extend(group.ancestors().map(|group| mount.join(group).join(file)));
    }
    files
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
    fn limits_are_looked_for_in_each_group_around_the_process() {
        let files = |groups: &str| -> Vec<String> {
            let files = limit_files(groups, Path::new("/c"));
            files.iter().map(|file| file.display().to_string()).collect()
        };
        let second = files("0::/a/b\n");
        assert_eq!(second, ["/c/a/b/memory.max", "/c/a/memory.max", "/c/memory.max"]);
        let first = files("5:devices:/x\n4:cpu,memory:/a\n9:name=systemd:/\n");
        assert_eq!(first, ["/c/memory/a/memory.limit_in_bytes", "/c/memory/memory.limit_in_bytes"]);
        assert!(files("").is_empty());
    }

    #[test]
    fn this_machine_has_memory() {
        assert!(memory_total_bytes().unwrap() > 64 << 20);
    }
}
