//! The child half: a template that forks, and a runtime with one function for each test.
#![expect(unsafe_code, reason = "forks, as a language's runtime would")]

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, SystemTime};
use std::{io, process, thread};

use arrow::array::{Array, AsArray, Int64Array, RecordBatch};
use arrow::datatypes::Int64Type;
use raceline_worker::{
    Answer, Caller, RateGate, Runtime, TemplateLoop, TemplateOrder, UserError, serve,
};

/// What a process does that the harness started as a template; nothing in the test run itself.
#[test]
fn template_entry() {
    match TemplateLoop::from_env() {
        Ok(None) => {}
        Ok(Some(_)) if std::env::var_os("TEST_TEMPLATE_FAILS").is_some() => {
            eprintln!("no module named `raceline`");
            end(3)
        }
        Ok(Some(template)) => end(run_template(template).map_or(1, |()| 0)),
        Err(error) => panic!("{error}"),
    }
}

fn run_template(mut template: TemplateLoop) -> io::Result<()> {
    let mut loaded = Vec::new();
    while let Some(order) = template.next_order()? {
        let request = match order {
            TemplateOrder::Load(preloads) => {
                loaded.extend(preloads);
                continue;
            }
            TemplateOrder::Fork(request) => request,
        };
        // SAFETY: the test harness has one other thread, which waits and holds no lock.
        match unsafe { libc::fork() } {
            -1 => template.report_failure(request, &io::Error::last_os_error())?,
            0 => {
                let mut env = request.env.clone();
                env.push(("LOADED".to_owned(), loaded.join(" ")));
                let mut functions = Functions { env, ..Functions::default() };
                let socket = template.enter_worker(request)?;
                end(serve(socket, &mut functions).map_or(1, |()| 0))
            }
            pid => template.report(request, u32::try_from(pid).unwrap())?,
        }
    }
    Ok(())
}

/// Ends the process without the test harness noticing.
fn end(code: i32) -> ! {
    // SAFETY: it takes no pointers.
    unsafe { libc::_exit(code) }
}

#[derive(Default)]
struct Functions {
    name: String,
    argument: String,
    env: Vec<(String, String)>,
    calls: i64,
    kept: Vec<RecordBatch>,
    gate: Option<RateGate>,
}

impl Functions {
    /// Its process id, or the length of the names of what the template was told to load.
    fn about_itself(&self) -> i64 {
        if self.name == "pid" {
            return i64::from(process::id());
        }
        let loaded = self.env.iter().find(|(name, _)| name == "LOADED");
        loaded.map_or(-1, |(_, names)| i64::try_from(names.len()).unwrap())
    }
}

impl Runtime for Functions {
    fn load(&mut self, chain: &[Vec<u8>]) -> Result<(), UserError> {
        let text = String::from_utf8(chain[0].clone()).unwrap();
        let (name, argument) = text.split_once(' ').unwrap_or((&text, ""));
        (self.name, self.argument) = (name.to_owned(), argument.to_owned());
        match name {
            "raise_in_constructor" => Err(raised("no weights")),
            "die_in_constructor" => end(7),
            "die_in_constructor_once" => match std::fs::File::create_new(&self.argument) {
                Ok(_) => end(7),
                Err(_) => Ok(()),
            },
            "slow_constructor" => {
                thread::sleep(Duration::from_millis(300));
                Ok(())
            }
            _ => Ok(()),
        }
    }

    fn limit(&mut self, gate: RateGate) {
        self.gate = Some(gate);
    }

    fn call(&mut self, input: RecordBatch, caller: &mut dyn Caller) -> Result<(), UserError> {
        self.calls += 1;
        let output = match self.name.as_str() {
            "keep" => {
                let sum: i64 =
                    self.kept.iter().map(|batch| ids(batch).iter().flatten().sum::<i64>()).sum();
                self.kept.push(input.clone());
                column_of(&input, vec![sum])
            }
            "double" => column_of(&input, ids(&input).iter().flatten().map(|id| id * 2).collect()),
            "raise" => return Err(raised("bad row")),
            "kill" => signal_self(libc::SIGKILL),
            "segfault" => signal_self(libc::SIGSEGV),
            "exit" => end(3),
            "kill_once" => match std::fs::File::create_new(&self.argument) {
                Ok(_) => signal_self(libc::SIGKILL),
                Err(_) => input,
            },
            "kill_at_three" if ids(&input).values().contains(&3) => signal_self(libc::SIGSEGV),
            "two_parts" => {
                let _stopped = caller.emit(Answer::Rows(input.slice(0, 1)));
                input.slice(1, 1)
            }
            "kill_if_many" if input.num_rows() > 1 => signal_self(libc::SIGKILL),
            "echo"
            | "slow_constructor"
            | "die_in_constructor_once"
            | "kill_at_three"
            | "kill_if_many" => input,
            "kill_between_outputs" => {
                self.kill_between_outputs(&input, caller);
                return Ok(());
            }
            "sleep" | "hang_at_three" => {
                if self.name == "sleep" || ids(&input).values().contains(&3) {
                    thread::sleep(Duration::from_mins(1));
                }
                input
            }
            "fork_and_die" => fork_and_die(),
            "fail_odd" => {
                self.fail_odd(&input, caller);
                return Ok(());
            }
            "many" => {
                for part in 0..100 {
                    if caller.emit(Answer::Rows(column_of(&input, vec![part; 1000]))).is_err() {
                        return Ok(());
                    }
                }
                return Ok(());
            }
            "time" => timed(&input),
            "pid" | "loaded" => column_of(&input, vec![self.about_itself()]),
            "gpus" => {
                // So long that two runs overlap and neither finds the other's worker idle.
                thread::sleep(Duration::from_millis(50));
                let gpu = self.env.iter().find(|(name, _)| name == "CUDA_VISIBLE_DEVICES");
                column_of(&input, vec![gpu.map_or(-1, |(_, ids)| ids.parse().unwrap())])
            }
            "start_sleep" => column_of(&input, vec![i64::from(start_sleep())]),
            "print" => {
                self.print();
                input
            }
            "not_utf8" => bad_strings(),
            "look_ahead" => self.look_ahead(&input, caller),
            "turn" => self.turn(&input),
            _ => self.about_memory(input, caller),
        };
        let _stopped = caller.emit(Answer::Rows(output));
        Ok(())
    }
}

impl Functions {
    /// What the tests of memory need.
    fn about_memory(&self, input: RecordBatch, caller: &mut dyn Caller) -> RecordBatch {
        match self.name.as_str() {
            "quarter" => input.slice(input.num_rows() / 4 * 3, input.num_rows() / 4),
            "hang_if_many" => {
                if input.num_rows() > self.argument.parse().unwrap() {
                    let _stopped = caller.emit(Answer::Rows(input.slice(0, 1)));
                    thread::sleep(Duration::from_mins(1));
                }
                input
            }
            "kill_after_a_while" => {
                thread::sleep(Duration::from_millis(300));
                signal_self(libc::SIGKILL)
            }
            "allocate" => {
                let mut bytes: Vec<u8> = Vec::new();
                let mebibytes: usize = self.argument.parse().unwrap();
                let there_is = bytes.try_reserve_exact(mebibytes << 20).is_ok();
                column_of(&input, vec![i64::from(there_is)])
            }
            other => panic!("no function {other}"),
        }
    }

    /// Prints; with a folder as argument it waits there to be told to, tells that it did, and
    /// never ends.
    fn print(&self) {
        let folder = Path::new(&self.argument);
        if !self.argument.is_empty() {
            std::fs::write(folder.join("called"), "").unwrap();
            while !folder.join("go").exists() {
                thread::sleep(Duration::from_millis(1));
            }
        }
        println!("hello");
        eprintln!("from\rthe worker");
        if !self.argument.is_empty() {
            std::fs::write(folder.join("printed"), "").unwrap();
            thread::sleep(Duration::from_mins(1));
        }
    }

    /// How many rows of later calls it was told of; the first of three waits for those of the
    /// other two.
    fn look_ahead(&mut self, input: &RecordBatch, caller: &mut dyn Caller) -> RecordBatch {
        while self.calls == 1 && self.kept.len() < 2 {
            self.kept.extend(caller.upcoming().unwrap());
            thread::sleep(Duration::from_millis(1));
        }
        let told: usize = self.kept.iter().map(RecordBatch::num_rows).sum();
        column_of(input, vec![i64::try_from(told).unwrap()])
    }

    /// When its turn at the gate is.
    fn turn(&self, input: &RecordBatch) -> RecordBatch {
        let turn = self.gate.as_ref().unwrap().reserve(0, 5, 7);
        column_of(input, vec![i64::try_from(turn).unwrap()])
    }

    /// Fails for odd rows, in between returns the others one by one, and dies of row 13. With
    /// an argument it dies in the middle, once.
    fn fail_odd(&self, input: &RecordBatch, caller: &mut dyn Caller) {
        for (row, &id) in ids(input).values().iter().enumerate() {
            if id == 13 {
                signal_self(libc::SIGSEGV);
            }
            if id == 4 && std::fs::File::create_new(&self.argument).is_ok() {
                signal_self(libc::SIGKILL);
            }
            let answer = if id % 2 == 1 {
                Answer::Errored(UserError { row: Some(row as u64), ..raised("odd") })
            } else {
                Answer::Rows(input.slice(row, 1))
            };
            let _stopped = caller.emit(answer);
        }
    }

    /// Returns its input row by row and twice; dies once, after it returned three rows. With the
    /// argument `less <path>` it returns one row when it is run again.
    fn kill_between_outputs(&self, input: &RecordBatch, caller: &mut dyn Caller) {
        let (less, path) = match self.argument.strip_prefix("less ") {
            Some(path) => (true, path),
            None => (false, self.argument.as_str()),
        };
        let is_first = std::fs::File::create_new(path).is_ok();
        if is_first {
            let _stopped = caller.emit(Answer::Rows(input.slice(0, 2)));
            let _stopped = caller.emit(Answer::Rows(input.slice(2, 1)));
            signal_self(libc::SIGKILL)
        }
        let _stopped = caller.emit(Answer::Rows(input.slice(0, if less { 1 } else { 5 })));
        if !less {
            let _stopped = caller.emit(Answer::Rows(input.clone()));
        }
    }
}

/// Leaves a grandchild that holds the sockets open for longer than its parent lives.
fn fork_and_die() -> ! {
    let slept = process::Command::new("sleep").arg("60").spawn();
    drop(slept.unwrap());
    signal_self(libc::SIGKILL)
}

fn raised(message: &str) -> UserError {
    UserError {
        type_name: "ValueError".to_owned(),
        message: message.to_owned(),
        traceback: "  File \"job.py\", line 3, in embed\n".to_owned(),
        exception: Some(vec![1, 2, 3]),
        row: Some(2),
        function: Some("embed".to_owned()),
        original: None,
    }
}

fn ids(batch: &RecordBatch) -> &Int64Array {
    batch.column(0).as_primitive::<Int64Type>()
}

fn start_sleep() -> u32 {
    process::Command::new("sleep").arg("77").spawn().unwrap().id()
}

/// When it began and when it ended.
fn timed(input: &RecordBatch) -> RecordBatch {
    let start = nanos();
    thread::sleep(Duration::from_millis(5));
    column_of(input, vec![start, nanos()])
}

/// Nanoseconds of a clock that all processes share.
fn nanos() -> i64 {
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
    i64::try_from(now.unwrap().as_nanos()).unwrap()
}

fn column_of(like: &RecordBatch, values: Vec<i64>) -> RecordBatch {
    let column = Arc::new(Int64Array::from(values));
    RecordBatch::try_new(like.schema(), vec![column]).unwrap()
}

fn bad_strings() -> RecordBatch {
    use arrow::array::{ArrayData, make_array};
    use arrow::buffer::Buffer;
    use arrow::datatypes::{DataType, Field, Schema};

    let data = ArrayData::builder(DataType::Utf8)
        .len(1)
        .add_buffer(Buffer::from_slice_ref([0_i32, 1]))
        .add_buffer(Buffer::from_slice_ref([0xff_u8]));
    // SAFETY: it is not: the test is that the engine finds out. Nobody reads it as text here.
    let column = make_array(unsafe { data.build_unchecked() });
    assert_eq!(column.len(), 1);
    let schema = Schema::new(vec![Field::new("s", DataType::Utf8, false)]);
    RecordBatch::try_new(Arc::new(schema), vec![column]).unwrap()
}

fn signal_self(signal: i32) -> ! {
    // SAFETY: both take no pointers.
    unsafe {
        libc::signal(signal, libc::SIG_DFL);
        libc::kill(libc::getpid(), signal);
    }
    thread::sleep(Duration::from_mins(1));
    unreachable!("the signal ends the process")
}
