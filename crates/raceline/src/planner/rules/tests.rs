//! Before and after of every rule, as text.

use datafusion::logical_expr::{col, lit};
use raceline_plan::{
    Aggregate, AggregateKind, FileFormat, FileScan, Projection, ScanRequest, SortKey, Source,
};

use super::*;

fn scan() -> Arc<Node> {
    Arc::new(Node::Source(Source::Files(Box::new(FileScan {
        format: FileFormat::Parquet,
        paths: vec!["t.parquet".into()],
        storage_options: std::collections::BTreeMap::new(),
        partitions: raceline_plan::PartitionStyle::Hive,
        include_paths: false,
        extensions: None,
        schema: None,
        request: ScanRequest::default(),
    }))))
}

fn filter(input: Arc<Node>, predicate: Expr) -> Arc<Node> {
    Arc::new(Node::Filter { input, predicate })
}

fn select(input: Arc<Node>, columns: &[&str]) -> Arc<Node> {
    let columns = columns.iter().map(ToString::to_string).collect();
    Arc::new(Node::Project { input, projection: Projection::Select(columns) })
}

fn with(input: Arc<Node>, name: &str, expr: Expr) -> Arc<Node> {
    let name = name.to_owned();
    Arc::new(Node::Project { input, projection: Projection::With { name, expr } })
}

fn limit(input: Arc<Node>, rows: u64) -> Arc<Node> {
    Arc::new(Node::Limit { input, rows })
}

use datafusion::logical_expr::Expr;

fn check(before: &Arc<Node>, after: &[&str]) {
    assert_eq!(optimize(before, false).to_string().lines().collect::<Vec<_>>(), after);
}

#[test]
fn filters_and_projections_go_into_the_scan() {
    check(
        &select(filter(scan(), col("a").gt(lit(3))), &["b"]),
        &["Select(b)", "+- ReadParquet(t.parquet, columns=[b], filter=a > Int32(3))"],
    );
}

#[test]
fn a_filter_goes_below_a_column_that_it_does_not_read() {
    check(
        &filter(with(scan(), "c", col("a") + lit(1)), col("b").eq(lit(1))),
        &["WithColumn(c = a + Int32(1))", "+- ReadParquet(t.parquet, filter=b = Int32(1))"],
    );
}

#[test]
fn a_filter_stops_above_the_column_that_it_reads_and_above_other_filters() {
    let added = with(scan(), "c", col("a") + lit(1));
    check(
        // The first filter may guard the second, so they do not change places.
        &filter(filter(added, col("c").gt(lit(3))), col("b").eq(lit(1))),
        &[
            "Filter(b = Int32(1))",
            "+- Filter(c > Int32(3))",
            "   +- WithColumn(c = a + Int32(1))",
            "      +- ReadParquet(t.parquet)",
        ],
    );
}

#[test]
fn a_filter_does_not_find_a_column_that_the_selection_left_out() {
    check(
        &filter(select(scan(), &["b"]), col("a").gt(lit(3))),
        &["Filter(a > Int32(3))", "+- Select(b)", "   +- ReadParquet(t.parquet, columns=[b])"],
    );
}

#[test]
fn a_filter_above_a_limit_stays_there() {
    check(
        &filter(limit(scan(), 5), col("a").gt(lit(3))),
        &["Filter(a > Int32(3))", "+- Limit(5)", "   +- ReadParquet(t.parquet, limit=5)"],
    );
}

#[test]
fn a_limit_goes_below_projections_but_not_below_filters() {
    check(
        &limit(select(scan(), &["b"]), 5),
        &["Select(b)", "+- Limit(5)", "   +- ReadParquet(t.parquet, columns=[b], limit=5)"],
    );
    check(
        &limit(filter(scan(), col("a").gt(lit(3))), 5),
        &["Limit(5)", "+- ReadParquet(t.parquet, filter=a > Int32(3))"],
    );
}

#[test]
fn a_limit_stays_where_batches_may_fail() {
    let plan = limit(select(scan(), &["b"]), 5);
    let optimized = optimize(&plan, true).to_string();
    let expected = ["Limit(5)", "+- Select(b)", "   +- ReadParquet(t.parquet, columns=[b])"];
    assert_eq!(optimized.lines().collect::<Vec<_>>(), expected);
}

#[test]
fn an_aggregate_reads_its_columns_only() {
    let sum = Aggregate::new(AggregateKind::Sum, Some("v".into()), true);
    let sorted = Arc::new(Node::Sort {
        input: scan(),
        keys: vec![SortKey { column: "s".into(), descending: true }],
    });
    check(
        &Arc::new(Node::Aggregate { input: sorted, keys: vec!["k".into()], aggregates: vec![sum] }),
        &[
            "Aggregate(by=[k], [sum(v)])",
            "+- Sort(s desc)",
            "   +- ReadParquet(t.parquet, columns=[k, s, v])",
        ],
    );
}
