//! The listing of a scan.

use std::collections::{BTreeSet, VecDeque};
use std::sync::{Arc, Mutex, PoisonError};

use futures::stream::{self, BoxStream, StreamExt, TryStreamExt};
use raceline_plan::{FileFormat, FileScan, FileSplit, PartitionStyle};
use raceline_types::{Failure, Random, RandomStream, Split, SplitId};

use super::cut::{Packer, cut, estimated_bytes};
use super::files::{self, Found, FoundFile, Tally, names_below};
use super::filter::Filter;
use super::hive;
use crate::error::ConnectError;
use crate::store::{Located, Stores};

/// Paths that are looked at ahead of their turn.
const OPEN_AHEAD: usize = 16;

/// Finds the files of a scan, lazily, in order.
#[derive(Clone, Debug)]
pub struct Listing {
    scan: Arc<Scan>,
    /// Of a random order.
    seed: Option<u64>,
}

#[derive(Debug)]
struct Scan {
    stores: Arc<Stores>,
    format: FileFormat,
    partitions: PartitionStyle,
    extensions: Option<Vec<String>>,
    /// As the user wrote them, and where they are.
    paths: Vec<(String, Located)>,
}

/// A listing under way.
struct Progress {
    files: BoxStream<'static, Result<FileSplit, Failure>>,
    packer: Packer,
    ready: VecDeque<Vec<FileSplit>>,
    next_id: u64,
    ended: bool,
}

impl Listing {
    /// A listing of `scan`. Opens stores; asks nothing of them yet.
    ///
    /// # Errors
    /// A path, scheme or storage option that means nothing; no path at all.
    pub fn new(stores: Arc<Stores>, scan: &FileScan) -> Result<Self, Failure> {
        if scan.paths.is_empty() {
            let reason = "the list of paths is empty".to_owned();
            return Err(ConnectError::BadPath { path: String::new(), reason }.into());
        }
        let paths = scan
            .paths
            .iter()
            .map(|path| Ok((path.clone(), stores.resolve(path, &scan.storage_options)?)))
            .collect::<Result<_, ConnectError>>()?;
        let (format, extensions) = (scan.format.clone(), scan.extensions.clone());
        let partitions = scan.partitions.clone();
        let scan = Scan { stores, format, partitions, extensions, paths };
        Ok(Self { scan: Arc::new(scan), seed: None })
    }

    /// The same files, whose splits come in a random order of files that depends on `seed`. Then
    /// all files are listed before the first split comes.
    #[must_use]
    pub fn shuffled(self, seed: u64) -> Self {
        Self { seed: Some(seed), ..self }
    }

    /// The splits, with ids 0, 1, 2, …; the payload is an `Arc<Vec<FileSplit>>`.
    ///
    /// A table file (or a range of a large one) is a split of its own; small files of other
    /// formats are packed, up to 16 MiB or 64 files a split.
    ///
    /// # Errors
    /// The first failure ends the stream: a path that does not exist, may not be read or holds
    /// no file of the scan.
    #[must_use]
    pub fn splits(&self) -> BoxStream<'static, Result<Split, Failure>> {
        let format = self.scan.format.clone();
        let progress = Progress {
            files: match self.seed {
                Some(seed) => in_random_order(self.files(), seed),
                None => self.files(),
            },
            packer: Packer::new(&format),
            ready: VecDeque::new(),
            next_id: 0,
            ended: false,
        };
        stream::try_unfold((progress, format), |(mut progress, format)| async move {
            while progress.ready.is_empty() && !progress.ended {
                let next = progress.files.try_next().await?;
                progress.ended = next.is_none();
                for piece in next.into_iter().flat_map(|file| cut(&format, file)) {
                    progress.ready.extend(progress.packer.push(piece));
                }
                if progress.ended {
                    progress.ready.extend(progress.packer.finish());
                }
            }
            let Some(pack) = progress.ready.pop_front() else { return Ok(None) };
            let id = SplitId(progress.next_id);
            progress.next_id += 1;
            Ok(Some((split(id, &format, pack), (progress, format))))
        })
        .boxed()
    }

    /// The files, whole, in the order of their paths.
    ///
    /// # Errors
    /// As [`Listing::splits`].
    #[must_use]
    pub fn files(&self) -> BoxStream<'static, Result<FileSplit, Failure>> {
        let tally = Arc::new(Mutex::new(Tally::default()));
        let at_end = (Arc::clone(&self.scan), Arc::clone(&tally));
        let scan = Arc::clone(&self.scan);
        let paths = 0..self.scan.paths.len();
        stream::iter(paths)
            .map(move |at| files_of(Arc::clone(&scan), at, Arc::clone(&tally)))
            .buffered(OPEN_AHEAD)
            .try_flatten()
            .chain(
                stream::once(async move { at_end.0.check_any(&at_end.1) })
                    .filter_map(|checked| async move { checked.err().map(Err) }),
            )
            .map_err(Failure::from)
            .boxed()
    }

    /// The first files, at least one and at most `count`, from which a schema can be found. What
    /// fails behind the first one is left to whoever reads.
    ///
    /// # Errors
    /// As [`Listing::splits`].
    pub async fn first(&self, count: usize) -> Result<Vec<FileSplit>, Failure> {
        let mut files = self.files();
        let first = match files.next().await {
            Some(first) => first?,
            None => return Err(self.scan.no_files(BTreeSet::new()).into()),
        };
        let mut found = vec![first];
        while found.len() < count
            && let Some(Ok(next)) = files.next().await
        {
            found.push(next);
        }
        Ok(found)
    }
}

/// All of `files`, in an order that depends on `seed`.
fn in_random_order(
    files: BoxStream<'static, Result<FileSplit, Failure>>,
    seed: u64,
) -> BoxStream<'static, Result<FileSplit, Failure>> {
    stream::once(async move {
        let mut files: Vec<FileSplit> = files.try_collect().await?;
        Random::new(seed).draws(RandomStream::Files).shuffle(&mut files);
        Ok::<_, Failure>(stream::iter(files).map(Ok))
    })
    .try_flatten()
    .boxed()
}

type Files = BoxStream<'static, Result<FileSplit, ConnectError>>;

/// The files that belong of the path at position `at`.
async fn files_of(
    scan: Arc<Scan>,
    at: usize,
    total: Arc<Mutex<Tally>>,
) -> Result<Files, ConnectError> {
    let (path, located) = scan.paths[at].clone();
    let filter = Arc::new(Filter::new(located.glob.clone(), scan.extensions.as_deref()));
    let opened = files::open(Arc::clone(&scan.stores), located.clone(), Arc::clone(&filter)).await;
    let (found, what) = opened?;
    let state = (found, Tally::default());
    let files = stream::try_unfold(Some(state), move |state| {
        let (scan, filter, total) = (Arc::clone(&scan), Arc::clone(&filter), Arc::clone(&total));
        let (path, located) = (path.clone(), located.clone());
        async move {
            let Some((mut found, mut tally)) = state else { return Ok(None) };
            while let Some(file) = found.try_next().await? {
                let names = names_below(&located.path, &file.location);
                let taken = match what {
                    Found::TheFile => true,
                    Found::Entries => !names.is_empty() && filter.takes(&names, &mut tally.others),
                };
                if taken {
                    tally.taken += 1;
                    let file = scan.split_of(&located, &file)?;
                    return Ok(Some((file, Some((found, tally)))));
                }
            }
            if located.is_glob() && tally.taken == 0 && tally.others.is_empty() {
                return Err(ConnectError::NoMatch { pattern: path });
            }
            let mut total = total.lock().unwrap_or_else(PoisonError::into_inner);
            total.taken += tally.taken;
            total.others.append(&mut tally.others);
            Ok(None)
        }
    });
    Ok(files.boxed())
}

impl Scan {
    fn split_of(&self, located: &Located, file: &FoundFile) -> Result<FileSplit, ConnectError> {
        let uri = located.uri_of(&file.location);
        let path = uri.split_once("://").map_or(&*uri, |(_, path)| path);
        let partition_values = hive::partition_values(path, &self.partitions)?;
        Ok(FileSplit {
            uri,
            store_url: Arc::clone(&located.store_url),
            location: file.location.as_ref().into(),
            size_bytes: file.size_bytes,
            modified_ms: file.modified_ms,
            range: None,
            partition_values,
        })
    }

    fn check_any(&self, tally: &Mutex<Tally>) -> Result<(), ConnectError> {
        let mut tally = tally.lock().unwrap_or_else(PoisonError::into_inner);
        match tally.taken {
            0 => Err(self.no_files(std::mem::take(&mut tally.others))),
            _ => Ok(()),
        }
    }

    fn no_files(&self, found: BTreeSet<String>) -> ConnectError {
        ConnectError::NoFiles {
            paths: self.paths.iter().map(|(path, _)| path.clone()).collect(),
            extensions: self.extensions.clone().unwrap_or_default(),
            found: found.into_iter().collect(),
        }
    }
}

fn split(id: SplitId, format: &FileFormat, files: Vec<FileSplit>) -> Split {
    let first = &files[0];
    let label: Arc<str> = match (files.len(), &first.range) {
        (1, None) => Arc::clone(&first.uri),
        (1, Some(range)) => format!("{} bytes {}..{}", first.uri, range.start, range.end).into(),
        (count, _) => format!("{} and {} more", first.uri, count - 1).into(),
    };
    let rows = match format {
        FileFormat::Binary | FileFormat::Image(_) => Some(files.len() as u64),
        _ => None,
    };
    let estimated_bytes = Some(estimated_bytes(format, &files));
    Split { id, label, rows, estimated_bytes, payload: Arc::new(files) }
}
