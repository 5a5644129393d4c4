//! From a scan of files to a source: the listing, and the reader of the format.

use std::sync::Arc;

use arrow::datatypes::{Field, SchemaRef};
use futures::TryStreamExt;
use raceline_connect::{BinaryReader, FileColumns, ImageReader, Listing, TextReader};
use raceline_exec::SplitReader;
use raceline_plan::{FileFormat, FileScan, FileSplit, Node, Source};
use raceline_relational::{FileReader, FileTable, infer_schema};
use raceline_types::Failure;

use crate::run_order::RunOrder;
use crate::session::Session;
use crate::source::FileSource;

/// Files that are looked at for the columns of a scan.
const FIRST_FILES: usize = 8;

/// The listing of a scan, the reader of its format, and the schema of what it reads, for the run
/// with the random order `order`.
pub(super) async fn file_source(
    session: &Session,
    scan: &FileScan,
    order: RunOrder,
) -> Result<(FileSource, SchemaRef), Failure> {
    let stores = session.stores();
    let listing = Listing::new(Arc::clone(stores), scan)?;
    let is_table =
        matches!(scan.format, FileFormat::Parquet | FileFormat::Csv(_) | FileFormat::Json(_));
    let count = if is_table && scan.schema.is_none() { FIRST_FILES } else { 1 };
    let firsts = listing.first(count).await?;
    let first = &firsts[0];
    let (reader, schema): (Arc<dyn SplitReader>, SchemaRef) = match &scan.format {
        FileFormat::Parquet | FileFormat::Csv(_) | FileFormat::Json(_) => {
            session.register_stores();
            let engine = session.engine();
            let table = infer_schema(engine, scan, &firsts).await?;
            let reader = FileReader::new(Arc::clone(engine), scan, table)?;
            let schema = reader.output_schema();
            (Arc::new(reader), schema)
        }
        FileFormat::Text(options) => {
            let columns = file_columns(scan, first, &TextReader::content())?;
            let schema = Arc::clone(columns.schema());
            (Arc::new(TextReader::new(Arc::clone(stores), options.clone(), columns)), schema)
        }
        FileFormat::Binary => {
            let columns = file_columns(scan, first, &BinaryReader::content())?;
            let schema = Arc::clone(columns.schema());
            (Arc::new(BinaryReader::new(Arc::clone(stores), columns)), schema)
        }
        FileFormat::Image(options) => {
            let columns = file_columns(scan, first, &ImageReader::content(options)?)?;
            let schema = Arc::clone(columns.schema());
            (Arc::new(ImageReader::new(Arc::clone(stores), options, columns)?), schema)
        }
    };
    let listing = match scan.shuffle {
        Some(shuffle) => {
            listing.shuffled(shuffle.seed_of(order.execution).unwrap_or(order.new_seed))
        }
        None => listing,
    };
    Ok((FileSource::new(scan.format.read_name(), listing, reader), schema))
}

/// The files of a scan as a table that a query scans itself. `None` when only a source of our own
/// can: of formats with rules of their own, of scans that filter or end early, and where files
/// differ in store or folders.
pub(super) async fn file_table(
    session: &Session,
    scan: &FileScan,
) -> Result<Option<FileTable>, Failure> {
    let request = &scan.request;
    let is_whole = request.predicate.is_none()
        && request.limit.is_none()
        && request.wanted.is_none()
        && scan.shuffle.is_none();
    if scan.format != FileFormat::Parquet || !is_whole {
        return Ok(None);
    }
    let listing = Listing::new(Arc::clone(session.stores()), scan)?;
    let files: Vec<FileSplit> = listing.files().try_collect().await?;
    let Some(first) = files.first().cloned() else { return Ok(None) };
    let is_alike = |file: &FileSplit| {
        let folders = |file: &FileSplit| {
            file.partition_values.iter().map(|(column, _)| Arc::clone(column)).collect::<Vec<_>>()
        };
        file.store_url == first.store_url && folders(file) == folders(&first)
    };
    if !files.iter().all(is_alike) {
        return Ok(None);
    }
    session.register_stores();
    let engine = session.engine();
    let firsts = &files[..files.len().min(FIRST_FILES)];
    let schema = infer_schema(engine, scan, firsts).await?;
    FileTable::open(engine, scan, files, &schema).await.map(Some)
}

/// The files of all scans of `plan`, in the order of their paths, those of the first scan first.
///
/// # Errors
/// When they cannot be listed.
pub(crate) async fn files_of(
    session: &Session,
    plan: &Arc<Node>,
) -> Result<Vec<FileSplit>, Failure> {
    let mut files = Vec::new();
    for scan in scans_of(plan) {
        let listing = Listing::new(Arc::clone(session.stores()), scan)?;
        files.extend(listing.files().try_collect::<Vec<_>>().await?);
    }
    Ok(files)
}

fn scans_of(plan: &Node) -> Vec<&FileScan> {
    match plan {
        Node::Source(Source::Files(scan)) => vec![scan],
        _ => plan.inputs().into_iter().flat_map(|input| scans_of(input)).collect(),
    }
}

/// The columns of a scan whose files hold one column: it, those of the folders, the path.
fn file_columns(
    scan: &FileScan,
    first: &FileSplit,
    content: &Field,
) -> Result<FileColumns, Failure> {
    let partitions: Vec<_> =
        first.partition_values.iter().map(|(column, _)| Arc::clone(column)).collect();
    let columns = |projection: Option<&[String]>| {
        FileColumns::new(content.clone(), &partitions, scan.include_paths, projection)
    };
    let projection = scan.request.projection.as_deref();
    let chosen = columns(projection)?;
    let Some(wanted) = &scan.request.wanted else { return Ok(chosen) };
    let is_asked_for = |name: &String| {
        wanted.contains(name) || projection.is_some_and(|projection| projection.contains(name))
    };
    let all = columns(None)?;
    let names = all.schema().fields().iter().map(|field| field.name().clone());
    Ok(columns(Some(&names.filter(is_asked_for).collect::<Vec<_>>()))?)
}
