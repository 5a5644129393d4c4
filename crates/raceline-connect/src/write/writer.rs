//! Rows to staged files: divides, cuts into runs, encodes side by side, appends in order.

use std::collections::{HashMap, VecDeque};
use std::mem;
use std::sync::Arc;

use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;
use raceline_exec::{Held, MemoryAccount};
use raceline_plan::WriteSpec;
use raceline_types::{
    Failure, InternalError, LOOKAHEAD_BYTES, Lookahead, batch_sliced_bytes, conform,
};
use tokio::runtime::Handle;
use tokio_util::task::AbortOnDropHandle;

use super::encode::{Encoded, Encoder, FileEncoder};
use super::error::WriteError;
use super::fit::check_columns;
use super::manifest::StagedEntry;
use super::names::Namer;
use super::partition::Partitions;
use super::roll::{Lane, Rules, Run};
use super::stage::{StagedFile, Staging};

/// Files that are open at once, when partition columns ask for more. Beyond it the largest is
/// ended early.
const OPEN_FILES_MAX: usize = 64;
/// Part of a write's memory in which its first rows are kept.
const LOOKAHEAD_SHARE: usize = 4;

/// A file that has been staged whole.
#[derive(Clone, Debug)]
pub(super) struct Written {
    pub(super) entry: StagedEntry,
    pub(super) rows: u64,
}

/// A write in progress.
pub(super) struct Writer {
    spec: Arc<WriteSpec>,
    rules: Rules,
    staging: Staging,
    namer: Namer,
    /// The first rows, until their columns are known.
    lookahead: Lookahead,
    columns: Option<Columns>,
    folders: Vec<Folder>,
    folder_positions: HashMap<String, usize>,
    files: Vec<Option<OpenFile>>,
    runs: VecDeque<RunningEncode>,
    runs_max: usize,
    memory_bytes: usize,
    account: MemoryAccount,
    /// The rows that wait.
    waiting: Held,
    written: Vec<(usize, Written)>,
}

/// What the first batches decided.
struct Columns {
    schema: SchemaRef,
    partitions: Partitions,
    encoder: Arc<Encoder>,
}

/// The rows of one folder.
struct Folder {
    name: String,
    lane: Lane,
    /// The file that its next run belongs to.
    file: Option<usize>,
}

struct OpenFile {
    encoder: FileEncoder,
    staged: StagedFile,
    rows: u64,
}

struct RunningEncode {
    file: usize,
    rows: usize,
    ends_file: bool,
    running: Option<AbortOnDropHandle<Result<(Encoded, Held), WriteError>>>,
}

impl Writer {
    /// A writer that encodes on the runtime that this is called on. It holds about `memory_bytes`,
    /// which count in `account`: rows that wait, those that are encoded, and what they become.
    pub(super) fn new(
        spec: Arc<WriteSpec>,
        staging: Staging,
        memory_bytes: usize,
        account: &MemoryAccount,
    ) -> Self {
        Self {
            rules: Rules::new(&spec, memory_bytes),
            namer: Namer::new(Arc::clone(&spec), staging.write_id.clone(), staging.io.clone()),
            spec,
            staging,
            lookahead: Lookahead::new(LOOKAHEAD_BYTES.min(memory_bytes / LOOKAHEAD_SHARE)),
            columns: None,
            folders: Vec::new(),
            folder_positions: HashMap::new(),
            files: Vec::new(),
            runs: VecDeque::new(),
            runs_max: Handle::current().metrics().num_workers(),
            memory_bytes,
            waiting: account.hold(0),
            account: account.clone(),
            written: Vec::new(),
        }
    }

    /// Takes the next rows.
    pub(super) async fn write(&mut self, batch: &RecordBatch) -> Result<(), Failure> {
        if batch.num_rows() == 0 {
            return Ok(());
        }
        if let Some(columns) = &self.columns {
            let fitted = conform(batch, &columns.schema)?;
            return self.divide(&fitted).await;
        }
        self.lookahead.push(batch.clone());
        if self.lookahead.is_full() {
            return self.begin().await;
        }
        self.waiting.set(self.lookahead.bytes() as u64);
        Ok(())
    }

    /// Fixes the columns by the first rows, and takes those.
    async fn begin(&mut self) -> Result<(), Failure> {
        let lookahead = mem::replace(&mut self.lookahead, Lookahead::new(0));
        let Some((schema, batches)) = lookahead.fix()? else { return Ok(()) };
        self.columns = Some(Columns::new(&self.spec, schema)?);
        self.waiting.set(0);
        let mut left =
            self.account.hold(batches.iter().map(batch_sliced_bytes).sum::<usize>() as u64);
        for batch in batches {
            left.set(left.bytes() - batch_sliced_bytes(&batch) as u64);
            self.divide(&batch).await?;
        }
        Ok(())
    }

    /// Puts the rows of a batch that has the columns of the write into their folders.
    async fn divide(&mut self, batch: &RecordBatch) -> Result<(), Failure> {
        let Some(columns) = &self.columns else {
            return Err(InternalError::new("rows were divided before their columns").into());
        };
        for (folder, rows) in columns.partitions.divide(batch)? {
            let at = self.folder(folder);
            for run in self.folders[at].lane.push(rows, &self.rules) {
                self.encode(at, run).await?;
            }
        }
        while self.settle_waiting() > self.rules.waiting_bytes() {
            let waiting = |folder: &Folder| folder.lane.waiting_bytes();
            let Some(at) = largest(&self.folders, waiting) else { break };
            let run = self.folders[at].lane.cut(&self.rules, false);
            self.encode(at, run).await?;
        }
        Ok(())
    }

    /// Bytes that wait in all folders together, which the account knows from here on.
    fn settle_waiting(&mut self) -> usize {
        let bytes = self.folders.iter().map(|folder| folder.lane.waiting_bytes()).sum();
        self.waiting.set(bytes as u64);
        bytes
    }

    /// Ends all files; they come back in the order in which they were begun, with the staging
    /// that holds them.
    pub(super) async fn finish(mut self) -> Result<(Staging, Vec<Written>), Failure> {
        self.begin().await?;
        for at in 0..self.folders.len() {
            if let Some(run) = self.folders[at].lane.finish(&self.rules) {
                self.encode(at, run).await?;
            }
        }
        while !self.runs.is_empty() {
            self.append_next().await?;
        }
        self.written.sort_unstable_by_key(|(index, _)| *index);
        Ok((self.staging, self.written.into_iter().map(|(_, written)| written).collect()))
    }

    fn folder(&mut self, name: String) -> usize {
        if let Some(&at) = self.folder_positions.get(&name) {
            return at;
        }
        let at = self.folders.len();
        self.folder_positions.insert(name.clone(), at);
        self.folders.push(Folder { name, lane: Lane::default(), file: None });
        at
    }

    /// Starts encoding a run of the folder at `at`.
    async fn encode(&mut self, at: usize, run: Run) -> Result<(), Failure> {
        let begun = self.folders[at].file;
        let file = match begun {
            Some(file) => file,
            None => self.begin_file(at).await?,
        };
        self.folders[at].file = (!run.ends_file).then_some(file);
        self.queue(file, run, begun.is_none()).await
    }

    async fn begin_file(&mut self, at: usize) -> Result<usize, Failure> {
        let open = |folder: &Folder| folder.file.map_or(0, |_| folder.lane.file_bytes().max(1));
        if self.folders.iter().filter(|folder| open(folder) > 0).count() >= OPEN_FILES_MAX
            && let Some(other) = largest(&self.folders, open)
            && let Some(file) = self.folders[other].file.take()
        {
            let run = self.folders[other].lane.cut(&self.rules, true);
            self.queue(file, run, false).await?;
        }
        let index = self.files.len();
        let name = self.namer.name(index).await?;
        let path = match self.folders[at].name.as_str() {
            "" => name,
            folder => format!("{folder}/{name}"),
        };
        let Some(columns) = &self.columns else {
            return Err(InternalError::new("a file was begun before its columns").into());
        };
        let encoder = columns.encoder.file()?;
        let staged = self.staging.create(path).await?;
        self.files.push(Some(OpenFile { encoder, staged, rows: 0 }));
        Ok(index)
    }

    /// Queues a run of `file`; waits while as many are encoded as the session has CPUs, or as there
    /// is memory for.
    async fn queue(&mut self, file: usize, run: Run, first: bool) -> Result<(), Failure> {
        self.settle_waiting();
        let (rows, ends_file) = (run.rows, run.ends_file);
        // What they become is there before the rows have gone, and is seldom larger.
        let bytes = 2 * run.batches.iter().map(batch_sliced_bytes).sum::<usize>() as u64;
        let memory_bytes = self.memory_bytes as u64;
        let is_full =
            |account: &MemoryAccount| account.level().bytes.saturating_add(bytes) > memory_bytes;
        while !self.runs.is_empty() && (self.runs.len() >= self.runs_max || is_full(&self.account))
        {
            self.append_next().await?;
        }
        let encoder = self.columns.as_ref().map(|columns| Arc::clone(&columns.encoder));
        let running = encoder.filter(|_| rows > 0).map(|encoder| {
            let mut held = self.account.hold(bytes);
            let encoding = async move {
                let result = encoder.encode(&run.batches, first)?;
                drop(run);
                held.set(result.bytes() as u64);
                Ok((result, held))
            };
            AbortOnDropHandle::new(Handle::current().spawn(encoding))
        });
        self.runs.push_back(RunningEncode { file, rows, ends_file, running });
        Ok(())
    }

    /// Waits for the oldest run and appends it to its file.
    async fn append_next(&mut self) -> Result<(), Failure> {
        let Some(run) = self.runs.pop_front() else { return Ok(()) };
        let Some(open) = self.files[run.file].as_mut() else {
            return Err(InternalError::new("a run came to a file that had ended").into());
        };
        if let Some(running) = run.running {
            let (encoded, _held) = running
                .await
                .map_err(|error| InternalError::caused_by("an encoder stopped", error))??;
            let bytes = open.encoder.append(encoded)?;
            open.rows += run.rows as u64;
            open.staged.append(bytes).await?;
        }
        if run.ends_file
            && let Some(mut open) = self.files[run.file].take()
        {
            let last = open.encoder.finish()?;
            open.staged.append(last).await?;
            let entry = open.staged.seal().await?;
            self.written.push((run.file, Written { entry, rows: open.rows }));
        }
        Ok(())
    }
}

impl Columns {
    fn new(spec: &WriteSpec, schema: SchemaRef) -> Result<Self, Failure> {
        let partitions = Partitions::new(&schema, &spec.partition_columns)?;
        check_columns(partitions.file_schema(), &spec.format)?;
        let encoder = Encoder::new(&spec.format, Arc::clone(partitions.file_schema()))?;
        Ok(Self { schema, partitions, encoder: Arc::new(encoder) })
    }
}

/// Position of the folder of which `size` is greatest, when it is not 0.
fn largest(folders: &[Folder], size: impl Fn(&Folder) -> usize) -> Option<usize> {
    let sizes = folders.iter().map(size).enumerate();
    sizes.filter(|(_, size)| *size > 0).max_by_key(|(_, size)| *size).map(|(at, _)| at)
}
