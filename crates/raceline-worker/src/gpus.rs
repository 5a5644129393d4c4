//! Which GPUs a process may use, as `nvidia-smi` and `CUDA_VISIBLE_DEVICES` tell.

use std::io::{self, Read as _};
use std::process::{Command, ExitStatus, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use crate::error::WorkerError;

/// The program that knows the GPUs; it comes with their driver.
const PROGRAM: &str = "nvidia-smi";

/// A driver that was not in use may take seconds to answer.
const ANSWER_WAIT: Duration = Duration::from_secs(20);

/// Names of the GPUs that are found and that `visible` allows, as `CUDA_VISIBLE_DEVICES` spells
/// them. None where `nvidia-smi` is not installed. Blocks for up to 20 s.
///
/// `visible` is the value of `CUDA_VISIBLE_DEVICES`: indices, UUIDs or beginnings of these. As in
/// CUDA, what follows the first name of no GPU does not count.
///
/// # Errors
/// [`WorkerError::Gpus`] when `nvidia-smi` fails, or does not answer in time.
pub fn find_gpus(visible: Option<&str>) -> Result<Vec<String>, WorkerError> {
    if visible.is_some_and(|visible| names(visible).next().is_none()) {
        return Ok(Vec::new());
    }
    match ask(&mut Command::new(PROGRAM), ANSWER_WAIT) {
        Ok(Some(listing)) => Ok(allowed(&parse(&listing), visible)),
        Ok(None) => Ok(Vec::new()),
        Err(reason) => Err(WorkerError::Gpus { reason }),
    }
}

/// Names of `count` declared GPUs: those of `visible` first, then numbers that are not among them.
#[must_use]
pub fn declare_gpus(count: usize, visible: Option<&str>) -> Vec<String> {
    let visible: Vec<String> = names(visible.unwrap_or_default()).map(str::to_owned).collect();
    let numbers = (0..).map(|number: usize| number.to_string());
    let others = numbers.filter(|number| !visible.contains(number));
    visible.iter().cloned().chain(others).take(count).collect()
}

/// A GPU as `nvidia-smi` lists it.
#[derive(Debug, PartialEq, Eq)]
struct Listed {
    index: String,
    uuid: String,
}

/// What the program prints; `None` where there is no such program.
fn ask(program: &mut Command, wait_max: Duration) -> Result<Option<String>, String> {
    program.args(["--query-gpu=index,uuid,memory.total", "--format=csv,noheader"]);
    let spawned = program.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null()).spawn();
    let mut child = match spawned {
        Ok(child) => child,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error.to_string()),
    };
    let deadline = Instant::now() + wait_max;
    let ended = loop {
        match child.try_wait() {
            Ok(None) if Instant::now() < deadline => sleep(Duration::from_millis(5)),
            Ok(ended) => break ended,
            Err(error) => return Err(error.to_string()),
        }
    };
    if ended.is_none() {
        // It ends or it hangs in the kernel; nothing else can be done about it.
        drop(child.kill().and_then(|()| child.wait()));
        return Err(format!("it did not answer within {} s", wait_max.as_secs_f64()));
    }
    let mut printed = String::new();
    let read = child.stdout.take().map(|mut output| output.read_to_string(&mut printed));
    match (ended, read) {
        (_, Some(Err(error))) => Err(error.to_string()),
        (Some(status), _) if !ExitStatus::success(&status) => {
            let line = printed.lines().next().unwrap_or_default();
            Err(format!("{status}: {line}").trim_end_matches([':', ' ']).to_owned())
        }
        _ => Ok(Some(printed)),
    }
}

/// One GPU a line: `0, GPU-8f6d..., 81559 MiB`.
fn parse(listing: &str) -> Vec<Listed> {
    let gpu = |line: &str| {
        let mut fields = line.split(',').map(str::trim);
        let (index, uuid) = (fields.next()?, fields.next()?);
        let is_gpu = !index.is_empty() && index.bytes().all(|byte| byte.is_ascii_digit());
        is_gpu.then(|| Listed { index: index.to_owned(), uuid: uuid.to_owned() })
    };
    listing.lines().filter_map(gpu).collect()
}

/// Those of `gpus` that `visible` allows, by the names that it uses.
fn allowed(gpus: &[Listed], visible: Option<&str>) -> Vec<String> {
    let Some(visible) = visible else {
        return gpus.iter().map(|gpu| gpu.index.clone()).collect();
    };
    // The parts of a GPU are not in the listing.
    let is_known = |name: &&str| {
        let is_part = name.starts_with("MIG-") && !gpus.is_empty();
        is_part || gpus.iter().any(|gpu| gpu.index == *name || gpu.uuid.starts_with(*name))
    };
    let mut found: Vec<String> = Vec::new();
    for name in names(visible).take_while(is_known) {
        if !found.iter().any(|other| other == name) {
            found.push(name.to_owned());
        }
    }
    found
}

/// The names in a value of `CUDA_VISIBLE_DEVICES`; an empty one and a number below 0 end them.
fn names(visible: &str) -> impl Iterator<Item = &str> {
    let is_name = |name: &&str| !name.is_empty() && !name.starts_with('-') && *name != "NoDevFiles";
    visible.split(',').map(str::trim).take_while(is_name)
}

#[cfg(test)]
mod tests {
    use super::*;

    const LISTING: &str = "0, GPU-aa11, 81559 MiB\n1, GPU-bb22, 81559 MiB\n2, GPU-cc33, [N/A]\n";

    fn allowed_by(visible: Option<&str>) -> Vec<String> {
        allowed(&parse(LISTING), visible)
    }

    #[test]
    fn all_are_found_where_nothing_is_said() {
        assert_eq!(allowed_by(None), ["0", "1", "2"]);
        assert_eq!(parse("No devices were found\n"), []);
    }

    #[test]
    fn what_is_visible_bounds_them() {
        assert_eq!(allowed_by(Some("2, 0")), ["2", "0"]);
        assert_eq!(allowed_by(Some("GPU-bb22,GPU-cc")), ["GPU-bb22", "GPU-cc"]);
        assert_eq!(allowed_by(Some("MIG-1234,1")), ["MIG-1234", "1"]);
        assert_eq!(allowed_by(Some("1,7,2")), ["1"], "what follows an unknown one does not count");
        assert_eq!(allowed_by(Some("1,1")), ["1"]);
        for none in ["", "-1", "NoDevFiles"] {
            assert_eq!(find_gpus(Some(none)).unwrap(), [""; 0], "{none}");
        }
    }

    #[test]
    fn declared_gpus_are_the_visible_ones_first() {
        assert_eq!(declare_gpus(2, None), ["0", "1"]);
        assert_eq!(declare_gpus(3, Some("1,GPU-aa")), ["1", "GPU-aa", "0"]);
        assert_eq!(declare_gpus(1, Some("4,5")), ["4"]);
        assert_eq!(declare_gpus(1, Some("")), ["0"]);
    }

    #[test]
    fn a_program_that_is_not_there_a_failing_and_a_hanging_one() {
        let wait = Duration::from_millis(100);
        assert_eq!(ask(&mut Command::new("/nowhere/nvidia-smi"), wait), Ok(None));
        let script = |text: &str| {
            let mut command = Command::new("sh");
            command.args(["-c", text]);
            ask(&mut command, wait)
        };
        assert_eq!(script("echo '0, GPU-a, 1 MiB'"), Ok(Some("0, GPU-a, 1 MiB\n".to_owned())));
        let failed = script("echo 'no driver'; exit 9").unwrap_err();
        assert_eq!(failed, "exit status: 9: no driver");
        assert_eq!(script("exec sleep 60").unwrap_err(), "it did not answer within 0.1 s");
    }
}
