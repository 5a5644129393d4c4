//! What a plan is and how it would run, as text.

use std::sync::Arc;

use raceline_plan::Node;
use raceline_types::Failure;

use crate::planner;
use crate::run_order::RunOrder;
use crate::session::Session;

/// The logical plan, the plan after our rules, the stages, the plans of queries, and the lane of each function.
pub(crate) async fn explain(
    session: &Session,
    plan: &Arc<Node>,
    errored_batches_max: u64,
) -> Result<String, Failure> {
    let optimized = planner::optimize(plan, errored_batches_max > 0);
    let lowered = planner::lower(session, &optimized, errored_batches_max, RunOrder::of(0)).await?;
    let mut sections = vec![
        section("Logical Plan", &plan.to_string()),
        section("Logical Plan (Optimized)", &optimized.to_string()),
        section("Physical Plan", &numbered(&lowered.stages)),
    ];
    if !lowered.queries.is_empty() {
        sections.push(section("Relational Plan", &lowered.queries.join("\n")));
    }
    if !lowered.lanes.is_empty() {
        sections.push(section("Functions", &lowered.lanes.join("\n")));
    }
    Ok(sections.join("\n"))
}

fn section(title: &str, text: &str) -> String {
    format!("-------- {title} --------\n{}\n", text.trim_end())
}

fn numbered(stages: &[String]) -> String {
    let lines = stages.iter().enumerate().map(|(index, stage)| format!("stage {index}: {stage}"));
    lines.collect::<Vec<_>>().join("\n")
}
