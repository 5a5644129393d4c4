//! Row counts that need no run.

use std::sync::Arc;

use arrow::record_batch::RecordBatch;
use futures::future::BoxFuture;
use futures::{FutureExt, TryStreamExt};
use raceline_connect::Listing;
use raceline_plan::{ExchangeForm, FileFormat, FileScan, FileSplit, Node, Source, UdfKind};
use raceline_types::{Failure, InternalError};

use super::schema;
use crate::session::Session;

/// Number of rows of `plan`, when metadata tells it exactly.
///
/// # Errors
/// When the metadata cannot be read, or the plan names a column that does not exist.
pub(crate) async fn count_from_metadata(
    session: &Session,
    plan: &Arc<Node>,
) -> Result<Option<u64>, Failure> {
    // Columns do not change the number of rows, but a wrong name must not go unnoticed.
    if names_columns(plan) && schema(session, plan).await?.is_none() {
        return Ok(None);
    }
    rows_of(session, plan).await
}

fn names_columns(plan: &Node) -> bool {
    let names = matches!(
        plan,
        Node::Project { .. } | Node::Sort { .. } | Node::Exchange { .. } | Node::Download { .. }
    );
    names || plan.inputs().into_iter().any(|input| names_columns(input))
}

fn rows_of<'a>(
    session: &'a Session,
    plan: &'a Arc<Node>,
) -> BoxFuture<'a, Result<Option<u64>, Failure>> {
    async move {
        match plan.as_ref() {
            Node::Source(source) => source_rows(session, source).await,
            Node::Project { input, .. }
            | Node::Sort { input, .. }
            | Node::Repartition { input, .. }
            | Node::RowColumn { input, .. }
            | Node::Download { input, .. }
            | Node::Shuffle { input, .. } => rows_of(session, input).await,
            Node::Exchange { input, spec } if spec.form != ExchangeForm::Groups => {
                rows_of(session, input).await
            }
            // A function may fail, and a count is no reason to run it: Ray Data runs it, we do
            // too.
            Node::Udf { input, udf } if udf.kind == UdfKind::Key => rows_of(session, input).await,
            Node::Limit { input, rows } => {
                let all = rows_of(session, input).await?;
                Ok(all.map(|all| all.min(*rows)))
            }
            Node::Skip { input, rows } => {
                let all = rows_of(session, input).await?;
                Ok(all.map(|all| all.saturating_sub(*rows)))
            }
            // All rows of all inputs, unless it ends early.
            Node::Mix { spec, .. } if spec.stops_early => Ok(None),
            Node::Union { inputs } | Node::Mix { inputs, .. } => {
                let mut sum = 0;
                for input in inputs {
                    let Some(rows) = rows_of(session, input).await? else {
                        return Ok(None);
                    };
                    sum += rows;
                }
                Ok(Some(sum))
            }
            Node::Zip { inputs } => {
                let mut rows = Vec::with_capacity(inputs.len());
                for input in inputs {
                    rows.push(rows_of(session, input).await?);
                }
                // Where they differ, the run says so.
                Ok(rows[0].filter(|_| rows.iter().all(|one| *one == rows[0])))
            }
            Node::Filter { .. }
            | Node::Udf { .. }
            | Node::Aggregate { .. }
            | Node::Exchange { .. }
            | Node::Join { .. }
            | Node::Relational { .. }
            | Node::Write { .. } => Ok(None),
        }
    }
    .boxed()
}

async fn source_rows(session: &Session, source: &Source) -> Result<Option<u64>, Failure> {
    match source {
        Source::Range { rows } | Source::Stored { rows, .. } | Source::Kept { rows, .. } => {
            Ok(Some(*rows))
        }
        Source::Memory { batches, .. } => {
            Ok(Some(batches.iter().map(RecordBatch::num_rows).sum::<usize>() as u64))
        }
        Source::Files(scan) => match scan.format {
            FileFormat::Parquet if scan.request.predicate.is_none() => {
                parquet_rows(session, scan).await.map(Some)
            }
            FileFormat::Parquet
            | FileFormat::Csv(_)
            | FileFormat::Json(_)
            | FileFormat::Text(_)
            | FileFormat::Binary
            | FileFormat::Image(_) => Ok(None),
        },
    }
}

/// Sum of the row counts in the footers of all files of a scan.
async fn parquet_rows(session: &Session, scan: &FileScan) -> Result<u64, Failure> {
    let listing = Listing::new(Arc::clone(session.stores()), scan)?;
    let splits: Vec<_> = listing.splits().try_collect().await?;
    let mut files: Vec<FileSplit> = Vec::with_capacity(splits.len());
    for split in splits {
        let pieces = split
            .payload
            .downcast_ref::<Vec<FileSplit>>()
            .ok_or_else(|| InternalError::new("a listing gave a foreign split"))?;
        // A file that was cut into ranges is counted at its first piece.
        let firsts =
            pieces.iter().filter(|file| file.range.as_ref().is_none_or(|range| range.start == 0));
        files.extend(firsts.map(|file| FileSplit { range: None, ..file.clone() }));
    }
    session.register_stores();
    raceline_relational::count_rows(session.engine(), &files).await
}
