//! The files that a plan reads.

use std::collections::HashSet;
use std::sync::Arc;

use arrow::array::AsArray;
use arrow::record_batch::RecordBatch;
use futures::future::BoxFuture;
use futures::{FutureExt, TryStreamExt};
use raceline_connect::Listing;
use raceline_plan::{Node, Source};
use raceline_types::Failure;

use crate::session::Session;

/// Name of the source of tasks that foreign functions read, and of its column of files.
const READ_TASKS: &str = "ReadTasks";
const FILES_COLUMN: &str = "input_files";

/// URIs of the files of all sources of `plan`, each once, in the order of the sources and of their
/// files. Files are listed for it.
///
/// # Errors
/// When files cannot be listed.
pub(crate) async fn input_files(
    session: &Session,
    plan: &Arc<Node>,
) -> Result<Vec<String>, Failure> {
    let mut found = Vec::new();
    gather(session, plan, &mut found).await?;
    let mut seen = HashSet::new();
    found.retain(|uri| seen.insert(uri.clone()));
    Ok(found)
}

fn gather<'a>(
    session: &'a Session,
    plan: &'a Arc<Node>,
    found: &'a mut Vec<String>,
) -> BoxFuture<'a, Result<(), Failure>> {
    async move {
        match plan.as_ref() {
            Node::Source(Source::Files(scan)) => {
                let listing = Listing::new(Arc::clone(session.stores()), scan)?;
                let files: Vec<_> = listing.files().try_collect().await?;
                found.extend(files.iter().map(|file| file.uri.to_string()));
            }
            Node::Source(Source::Memory { name: READ_TASKS, batches, .. }) => {
                found.extend(batches.iter().flat_map(files_of_tasks));
            }
            node => {
                for input in node.inputs() {
                    gather(session, input, found).await?;
                }
            }
        }
        Ok(())
    }
    .boxed()
}

fn files_of_tasks(tasks: &RecordBatch) -> Vec<String> {
    let lists = tasks.column_by_name(FILES_COLUMN).and_then(|column| column.as_list_opt::<i32>());
    let Some(files) = lists.and_then(|lists| lists.values().as_string_opt::<i32>()) else {
        return Vec::new();
    };
    files.iter().flatten().map(str::to_owned).collect()
}
